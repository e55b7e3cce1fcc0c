#include "thimble_bodies.h"
#include "thimble_kernels.h"

#ifndef THIMBLE_DSP

/* A token's words, `step` halfwords apart, and behind them its sum. */
static THIMBLE_HOT(widen_token) void widen_token(const int8_t *in, int16_t offset, int16_t *out, int32_t count,
                                                 int32_t step)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < count; i += 2, out += step) {
        out[0] = (int16_t)(in[i] + offset);
        out[1] = (int16_t)(in[i + 1] + offset);
        sum += out[0] + out[1];
    }
    sum *= 128;
    __builtin_memcpy(out, &sum, 4);
}

static THIMBLE_HOT(widen_one) void widen_one(const int8_t *in, uint32_t offsets, int16_t *out, int32_t count)
{
    widen_token(in, (int16_t)offsets, out, count, 2);
}

static THIMBLE_HOT(widen_two) void widen_two(const int8_t *in, uint32_t offsets, int16_t *out, int32_t count)
{
    widen_token(in, (int16_t)offsets, out, count, 4);
    widen_token(in + count, (int16_t)offsets, out + 2, count, 4);
}

#else
#include "thimble_widen_s8_dsp.h"
#endif

void thimble_widen_s8(const int8_t *in, int32_t offset, int16_t *out, int32_t depth, int32_t tokens)
{
    const int32_t count = THIMBLE_TOKEN_BYTES(depth);
    const uint32_t offsets = (uint32_t)offset << 16 | ((uint32_t)offset & 0xffff); /* in both halfwords */
    for (; tokens > 1; tokens -= 2, in += 2 * count, out += THIMBLE_WIDE_BYTES(depth)) {
        widen_two(in, offsets, out, count);
    }
    if (tokens) {
        widen_one(in, offsets, out, count);
    }
}
