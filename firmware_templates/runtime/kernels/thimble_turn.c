#include "thimble_kernels.h"

/* The sine of a phase in 2^-32 turns, in 1/32767: straight lines between the entries of a quarter's table. */
static int32_t sine(const int16_t *table, uint32_t phase)
{
    const uint32_t quarter = (uint32_t)1 << 30, rest = phase & (quarter - 1);
    const uint32_t within = phase & quarter ? quarter - rest : rest, place = within >> 23;
    int32_t value = table[place];
    if (place < 128) {
        value += ((table[place + 1] - value) * (int32_t)(within >> 7 & 0xffff) + 0x8000) >> 16;
    }
    return phase >> 31 ? -value : value;
}

/* In a tensor's integers, low..high. */
static int32_t scaled(thimble_turn_scale scale, int32_t value, int32_t low, int32_t high)
{
    const int32_t integer = scale.zero_point + (int32_t)(((int64_t)value * scale.multiplier + (1 << 23)) >> 24);
    return integer < low ? low : integer > high ? high : integer;
}

void thimble_turn_s8(const thimble_turn_params *p, int32_t position, int8_t *cos, int8_t *sin)
{
    for (int32_t i = 0; i < p->pairs; i++) {
        const uint32_t phase = p->rates[i] * (uint32_t)position;
        cos[i] = (int8_t)scaled(p->cos, sine(p->sines, phase + ((uint32_t)1 << 30)), -128, 127);
        sin[i] = (int8_t)scaled(p->sin, sine(p->sines, phase), -128, 127);
    }
}

void thimble_turn_s16(const thimble_turn_params *p, int32_t position, int16_t *cos, int16_t *sin)
{
    for (int32_t i = 0; i < p->pairs; i++) {
        const uint32_t phase = p->rates[i] * (uint32_t)position;
        cos[i] = (int16_t)scaled(p->cos, sine(p->sines, phase + ((uint32_t)1 << 30)), -32768, 32767);
        sin[i] = (int16_t)scaled(p->sin, sine(p->sines, phase), -32768, 32767);
    }
}
