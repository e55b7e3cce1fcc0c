#include "thimble_kernels.h"

/* The sine of a phase in 2^-32 turns, in 1/32767: straight lines between the entries of a quarter's table. */
static THIMBLE_HOT(sine) int32_t sine(const int16_t *table, uint32_t phase)
{
    const uint32_t quarter = (uint32_t)1 << 30, rest = phase & (quarter - 1);
    const uint32_t within = phase & quarter ? quarter - rest : rest, place = within >> 23;
    int32_t value = table[place];
    if (place < 128) {
        value += ((table[place + 1] - value) * (int32_t)(within >> 7 & 0xffff) + 0x8000) >> 16;
    }
    return phase >> 31 ? -value : value;
}

/* In the tensor's integers, low..high. */
static THIMBLE_HOT(scaled) int32_t scaled(const thimble_turn_params *p, int32_t value, int32_t low, int32_t high)
{
    const int32_t integer = p->zero_point + (int32_t)(((int64_t)value * p->multiplier + (1 << 23)) >> 24);
    return integer < low ? low : integer > high ? high : integer;
}

/* Cosine and sine of a pair at a position. */
typedef struct {
    int32_t cos, sin;
} angle;

static THIMBLE_HOT(angle_of) angle angle_of(const thimble_turn_params *p, int32_t pair, int32_t position)
{
    const uint32_t phase = p->rates[pair] * (uint32_t)position;
    return (angle){sine(p->sines, phase + ((uint32_t)1 << 30)), sine(p->sines, phase)};
}

void thimble_turn_s8(const thimble_turn_params *p, int32_t position, int8_t *rotation)
{
    for (int32_t i = 0; i < p->pairs; i++, rotation += 4) {
        const angle at = angle_of(p, i, position);
        rotation[0] = rotation[3] = (int8_t)scaled(p, at.cos, -128, 127);
        rotation[1] = (int8_t)scaled(p, at.sin, -128, 127);
        rotation[2] = (int8_t)scaled(p, -at.sin, -128, 127);
    }
}

void thimble_turn_s16(const thimble_turn_params *p, int32_t position, int16_t *rotation)
{
    for (int32_t i = 0; i < p->pairs; i++, rotation += 4) {
        const angle at = angle_of(p, i, position);
        rotation[0] = rotation[3] = (int16_t)scaled(p, at.cos, -32768, 32767);
        rotation[1] = (int16_t)scaled(p, at.sin, -32768, 32767);
        rotation[2] = (int16_t)scaled(p, -at.sin, -32768, 32767);
    }
}
