#include <string.h>

#include "thimble_fixed_point.h"
#include "thimble_kernels.h"

#ifndef THIMBLE_DSP

/* Four inputs as int16: the first and third, the second and fourth. */
static inline void widen_four(const int8_t *in, int32_t offset, int32_t *even, int32_t *odd)
{
    *even = (int32_t)((uint32_t)(in[2] + offset) << 16 | ((uint32_t)(in[0] + offset) & 0xffff));
    *odd = (int32_t)((uint32_t)(in[3] + offset) << 16 | ((uint32_t)(in[1] + offset) & 0xffff));
}

/* The lower half of one below the upper half of the other, and the upper halves of both. */
static inline int32_t below(int32_t upper, int32_t lower)
{
    return (int32_t)(((uint32_t)upper & 0xffff0000u) | ((uint32_t)lower & 0xffff));
}

static inline int32_t upper_halves(int32_t upper, int32_t lower)
{
    return (int32_t)(((uint32_t)upper & 0xffff0000u) | (uint32_t)lower >> 16);
}

#else
#include "thimble_widen_picked_s8_dsp.h"
#endif

/* A value in the upper half with each of four below it. */
static inline void put_four(int32_t upper, int32_t even, int32_t odd, int32_t *out)
{
    out[0] = below(upper, even);
    out[1] = below(upper, odd);
    out[2] = upper_halves(upper, even);
    out[3] = upper_halves(upper, odd);
}

/* Every pair of the first and the second four inputs. */
static inline void put_pairs_of_eight(const int8_t *in, int32_t offset, int32_t *out)
{
    int32_t even, odd, next_even, next_odd;
    widen_four(in, offset, &even, &odd);
    widen_four(in + 4, offset, &next_even, &next_odd);
    put_four((int32_t)((uint32_t)next_even << 16), even, odd, out);
    put_four((int32_t)((uint32_t)next_odd << 16), even, odd, out + 4);
    put_four(next_even, even, odd, out + 8);
    put_four(next_odd, even, odd, out + 12);
}

/* Every pair of four inputs. */
static inline void put_pairs_of_four(const int8_t *in, int32_t offset, int32_t *out)
{
    int32_t even, odd;
    widen_four(in, offset, &even, &odd);
    out[0] = below((int32_t)((uint32_t)odd << 16), even);
    out[1] = even;
    out[2] = below(odd, even);
    out[3] = below(even, odd);
    out[4] = odd;
    out[5] = upper_halves(odd, even);
}

void thimble_widen_picked_s8(const int8_t *in, int32_t offset, int32_t *out, int32_t depth, int32_t kept)
{
    const int32_t span = 8 / kept; /* columns of a pair of weights, of which a row has an even number */
    for (int32_t left = depth, end = (depth * kept + 15) / 16 * 16 / kept; end > 0;
         left -= span, end -= span, in += span) {
        int8_t last[8];
        const int8_t *at = in;
        if (left < span) {
            for (int32_t i = 0; i < span; i++) {
                last[i] = (int8_t)(i < left ? in[i] : -offset);
            }
            at = last;
        }
        if (kept == 1) {
            put_pairs_of_eight(at, offset, out);
            out += 16;
        } else {
            put_pairs_of_four(at, offset, out);
            out += 6;
        }
    }
}
