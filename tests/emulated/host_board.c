/* A board that is a process: the UART is stdin and stdout. */
#include "board.h"
#include "crc32.h"
#include "image.h"

#include <stdio.h>
#include <stdlib.h>

const char board_name[] = "host";
uint32_t board_tick_hz = 1000000;

const char *board_counter(void)
{
    return "host";
}

/* What stands for the image: five bytes of weights, with the checksum of those that it was built with. */
static const volatile uint8_t weights[5] = {1, 2, 3, 4, 0};
static image_record *const record = (image_record *)(uintptr_t)&image;

__asm__(".section .data\n.balign 8\n.global image\nimage: .space 128\n.text\n");

void board_init(void)
{
    *record = (image_record){.magic = 0x494D4854u, .id = "0123456789abcdef", .num_ranges = 1};
    record->ranges[0] = (image_range){(const uint8_t *)(uintptr_t)weights, sizeof weights, IMAGE_WEIGHTS, 0x37616d7bu};
    record->crc = thimble_crc32(0, record->id, sizeof *record - 8 + sizeof(image_range));
}

uint64_t board_ticks(void)
{
    static uint64_t ticks;
    return ticks += 7;
}

bool board_stop_requested(void)
{
    return false;
}

/* A byte 0xFF stands for lost bytes. */
int board_read(void)
{
    (void)fflush(stdout); /* whoever waits for an answer has all of it */
    int byte = getchar();
    if (byte == EOF) {
        exit(0); /* nothing more will come */
    }
    return byte == 0xFF ? BOARD_LOST : byte;
}

void board_write(const char *bytes, size_t count)
{
    fwrite(bytes, 1, count, stdout);
}

size_t board_stack_size(void)
{
    return 4096;
}

size_t board_stack_peak(void)
{
    return 100;
}
