/* Instructions that the kernels stand on, each beside what the architecture says of it in plain C. */
#ifndef PROBE_H
#define PROBE_H

#include <stddef.h>
#include <stdint.h>

/* Two words, and a third or an accumulator of 64 bits; the result's upper half is 0 where it has 32 bits. */
typedef uint64_t scalar_operation(uint32_t a, uint32_t b, uint64_t c);

/* Two vectors of 128 bits. A result in a general register is in out[0], and the rest 0. */
typedef void vector_operation(const uint32_t a[4], const uint32_t b[4], uint32_t out[4]);

/* `name` is the mnemonic, in instructions.yaml too; the core's way of it, and the plain one. */
typedef struct {
    const char *name;
    scalar_operation *core, *plain;
} scalar_case;

typedef struct {
    const char *name;
    vector_operation *core, *plain;
} vector_case;

extern const scalar_case scalar_cases[];
extern const size_t num_scalar_cases;
extern const vector_case vector_cases[];
extern const size_t num_vector_cases;

/* Products of 64 bits from pieces of 16: no long multiplication of the core is trusted. */
static inline uint64_t unsigned_product(uint32_t a, uint32_t b) {
    uint32_t low = (a & 0xFFFFu) * (b & 0xFFFFu), high = (a >> 16) * (b >> 16);
    uint32_t first = (a & 0xFFFFu) * (b >> 16), second = (a >> 16) * (b & 0xFFFFu);
    return ((uint64_t)high << 32) + ((uint64_t)first << 16) + ((uint64_t)second << 16) + low;
}

static inline int64_t signed_product(int32_t a, int32_t b) {
    uint32_t size_a = a < 0 ? 0u - (uint32_t)a : (uint32_t)a, size_b = b < 0 ? 0u - (uint32_t)b : (uint32_t)b;
    uint64_t product = unsigned_product(size_a, size_b);
    return (int64_t)((a < 0) != (b < 0) ? 0u - product : product);
}

static inline int32_t clamped(int64_t value, int64_t low, int64_t high) {
    return (int32_t)(value < low ? low : value > high ? high : value);
}

static inline uint32_t leading_zeros(uint32_t value) {
    uint32_t count = 0;
    while (count < 32 && !(value & 0x80000000u >> count))
        count++;
    return count;
}

#endif
