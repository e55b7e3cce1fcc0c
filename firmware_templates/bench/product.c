/* One product of a compiled graph: its whole step, the input's preparation included. */
#include "device.h"
#include "model.h"

static _Alignas(16) int8_t arena[THIMBLE_MODEL_ARENA_BYTES];

void measure(void)
{
    const int32_t token = 0;
    for (int32_t i = 0; i < THIMBLE_MODEL_ARENA_BYTES; i++) {
        arena[i] = (int8_t)draw();
    }
    count_start();
    for (int32_t i = 0; i < 20; i++) {
        (void)thimble_the_model.step(0, arena, &token, 1, 0, 1);
    }
    print_row("product", 0, 0, count_ticks(), 20);
}
