/* Runs operations on the ring of received bytes, for test_receive_ring_in_c.py: "K" and a byte keeps it if there is
 * room, "L" marks lost bytes, "T" takes one if there is any. What was taken is written, in order; a kept byte that
 * found no room as "K" on stderr. */
#include <stdio.h>

#include "receive_ring.h"

int main(void)
{
    static receive_ring ring;
    for (int operation; (operation = getchar()) != EOF;) {
        if (operation == 'K') {
            uint8_t byte = (uint8_t)getchar();
            if (receive_ring_has_room(&ring)) {
                receive_ring_keep(&ring, byte);
            } else {
                fputc('K', stderr);
            }
        } else if (operation == 'L') {
            receive_ring_mark_lost(&ring);
        } else if (!receive_ring_is_empty(&ring)) {
            fputc(receive_ring_take(&ring), stdout);
        }
    }
    return 0;
}
