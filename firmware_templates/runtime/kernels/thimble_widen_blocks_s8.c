#include "thimble_fixed_point.h"
#include "thimble_kernels.h"

#ifndef THIMBLE_DSP

static inline THIMBLE_HOT(widen_blocks) void widen_blocks(const int8_t *in, const int8_t *end, int32_t offset,
                                                          int32_t *out, int32_t columns)
{
    for (; in != end; in += columns, out += 1 + columns / 2) {
        int16_t *const wide = (int16_t *)(void *)(out + 1);
        int32_t sum = 0;
        for (int32_t i = 0; i < columns; i++) {
            const int32_t twice = 2 * (in[i] + offset);
            wide[i] = (int16_t)twice;
            sum += twice;
        }
        out[0] = -128 * sum;
    }
}

#else
#include "thimble_widen_blocks_s8_dsp.h"
#endif

void thimble_widen_blocks_s8(const int8_t *in, int32_t offset, int32_t *out, int32_t depth, int32_t columns)
{
    const int32_t left = depth & (columns - 1);
    widen_blocks(in, in + depth - left, offset, out, columns);
    if (left) {
        int8_t last[8];
        for (int32_t i = 0; i < columns; i++) {
            last[i] = (int8_t)(i < left ? in[depth - left + i] : -offset);
        }
        widen_blocks(last, last + columns, offset, out + depth / columns * (1 + columns / 2), columns);
    }
}
