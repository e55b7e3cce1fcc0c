/* What a measured program sees of the machine. Output goes through semihosting. */
#ifndef THIMBLE_DEVICE_H
#define THIMBLE_DEVICE_H

#include <stdint.h>

/* The program. */
void measure(void);

/* Counts instructions from `count_start` on. */
void count_start(void);
uint32_t count_ticks(void);

/* Prints "ROW name first second instructions", the instructions of `ticks` by `calls`. */
void print_row(const char *name, int32_t first, int32_t second, uint32_t ticks, uint32_t calls);

/* Prints words as they are. */
void print_text(const char *words);

/* Prints why and ends the program, which counts as failed. */
void end_with(const char *why);

uint32_t draw(void);

#endif
