/* Compares the kernels' fast bodies with their plain C bodies on an emulated core, and counts instructions.
 *
 * The plain bodies are the same files compiled with THIMBLE_PLAIN_C under names that begin with plain_. Each file
 * beside this one is a program: it defines `check`, which prints through semihosting a line `KERNEL <name> cases <n>
 * different <n>` a kernel, and `COUNT <name> <columns> <rows> <instructions>`. Then follows `DIGEST <n>` of all that
 * the fast bodies wrote: the same for every core, compiler and option. Draws are therefore made one after the other,
 * never as arguments of the same call. */
#ifndef HARNESS_H
#define HARNESS_H

#include <stdint.h>
#include <string.h>

#include "thimble_kernels.h"
#include "thimble_some_rows.h"

#define MOST 8192

/* Zero at the start; no kernel reads or writes beyond them. */
extern int8_t a[MOST], b[MOST], one[MOST], other[MOST];
extern int16_t wide_one[MOST], wide_other[MOST];
extern int8_t table[256];

void check(void);

uint32_t draw(void);
int32_t between(int32_t low, int32_t high);

/* Any bytes from `low` on, or only the extremes. */
void fill(int8_t *values, int32_t count, int32_t low);

/* Any multiplier in [2^30, 2^31), and one for a product that keeps most results inside of int8. */
int32_t draw_multiplier(void);
thimble_product_scale draw_product_scale(int32_t least_shift, int32_t most_shift);

/* Whether the fast body wrote something else than the plain one; it enters the digest. */
uint32_t differs(const void *fast, const void *plain, size_t bytes);

/* Some of a product's rows: the first is a multiple of 4. */
typedef struct {
    int32_t first, count;
} some_rows;

some_rows draw_some(int32_t rows);

/* Whether outputs of some rows, of so many bytes each, are other than those of the whole product, or more were
 * written. `part` was 0x55 before. */
uint32_t some_differ(const void *part, const void *whole, some_rows some, int32_t bytes);

void report(const char *name, uint32_t cases, uint32_t different);

/* Counts from `start_count` on; the count is divided by `calls`. */
void start_count(void);
void print_count(const char *name, int32_t columns, int32_t rows, int32_t calls);

#endif
