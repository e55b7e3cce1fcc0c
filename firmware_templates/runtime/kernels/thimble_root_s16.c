#include "thimble_fixed_point_s16.h"
#include "thimble_kernels_s16.h"

/* The square root, rounded to the nearest float: an instruction where there is one. */
#if !(defined(__arm__) && defined(__ARM_FP) && (__ARM_FP & 4) && !defined(THIMBLE_PLAIN_C))

#include <string.h>

/* x is positive and normal: its root has 24 bits, found one by one, and the next decides the rounding. */
static THIMBLE_HOT(square_root) float square_root(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    const int32_t exponent = (int32_t)(bits >> 23) - 127;
    const uint64_t mantissa = (bits & 0x7fffff) | 0x800000;
    const uint64_t square = mantissa << (exponent & 1 ? 26 : 25); /* its root lies in 2^24..2^25 */
    uint32_t root = 0;
    for (uint32_t bit = 1u << 24; bit; bit >>= 1) {
        const uint64_t tried = root | bit;
        root = tried * tried <= square ? (uint32_t)tried : root;
    }
    const int32_t half = (exponent - (exponent & 1)) / 2;
    /* 25 bits, of which the last one rounds: a root is never exactly half way. */
    bits = (uint32_t)(half + 126) << 23;
    bits += (root + 1) >> 1;
    memcpy(&x, &bits, 4);
    return x;
}

#else
#include "thimble_root_s16_fpu.h"
#endif

/* round(x), halves away from zero; x >= 0. */
static THIMBLE_HOT(rounded) int32_t rounded(float x)
{
    const int32_t whole = (int32_t)x;
    return whole + (x - (float)whole >= 0.5f);
}

void thimble_root_s16(float in_scale, float epsilon, float out_scale, const int16_t *in, int16_t *out, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        /* Volatile: rounded before the sum, as the .tflite's operators are apart; a compiler may fuse the two
         * otherwise. */
        const volatile float mean = in_scale * (float)in[i];
        const float value = 1.0f / square_root(mean + epsilon) / out_scale;
        out[i] = value < 32767.0f ? (int16_t)rounded(value) : 32767;
    }
}
