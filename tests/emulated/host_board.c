/* A board that is a process: the UART is stdin and stdout. */
#include "board.h"

#include <stdio.h>
#include <stdlib.h>

const char board_name[] = "host";
uint32_t board_tick_hz = 1000000;

const char *board_counter(void)
{
    return "host";
}

/* The application reads the weights between these; they lie one after the other. */
__asm__(".section .rodata\n.global weights_start, weights_end\nweights_start: .byte 1, 2, 3, 4\nweights_end: .byte 0\n"
        ".text\n");

void board_init(void) {}

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
