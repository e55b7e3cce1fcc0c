#include "thimble_rotary.h"

#ifdef THIMBLE_HELIUM

static THIMBLE_HOT(move_token) void move_token(const thimble_rotary_s8_params *p, const int8_t *x,
                                               const int8_t *rotation, const int8_t *means, const int8_t *drift,
                                               int8_t *out)
{
    const thimble_product_scale scale = p->out;
    const int32_t half = p->half, offset = p->offset, plus = p->rotation_offset, head_dim = 2 * half;
    for (int32_t i = 0, left = half - p->pairs; left > 0; i += 4, left -= 4, rotation += 16, drift += 16) {
        const column first = column_of(rotation, left, plus), second = column_of(rotation + 1, left, plus);
        const column more_first = column_of(drift, left, plus), more_second = column_of(drift + 1, left, plus);
        for (int32_t head = 0, at = i; head < p->heads; head++, at += head_dim) {
            const int32x4_t a = vaddq_n_s32(thimble_load_4(x + at, left), offset);
            const int32x4_t b = vaddq_n_s32(thimble_load_4(x + at + half, left), offset);
            const int32x4_t c = vaddq_n_s32(thimble_load_4(means + at, left), offset);
            const int32x4_t d = vaddq_n_s32(thimble_load_4(means + at + half, left), offset);
            const int32x4_t one = vaddq_s32(times(a, b, first), times(c, d, more_first));
            const int32x4_t other = vaddq_s32(times(a, b, second), times(c, d, more_second));
            thimble_store_some_of_4(out + at, scaled(&scale, one), left);
            thimble_store_some_of_4(out + at + half, scaled(&scale, other), left);
        }
    }
}

#else

/* One pair of all heads. */
static inline void move(const thimble_rotary_s8_params *p, scale s, row offset, columns matrix, columns more,
                        const int8_t *x, const int8_t *means, int8_t *out)
{
    const int32_t half = p->half, head_dim = 2 * half;
    for (const int8_t *const end = out + head_dim * p->heads; out != end;
         x += head_dim, means += head_dim, out += head_dim) {
        const row pair = plus(row_of(x[0], x[half]), offset), mean = plus(row_of(means[0], means[half]), offset);
        const int8_t second = scaled(s, times_plus(pair, matrix.second, times(mean, more.second)));
        out[0] = scaled(s, times_plus(pair, matrix.first, times(mean, more.first)));
        out[half] = second;
    }
}

static inline void move_token(const thimble_rotary_s8_params *p, const int8_t *x, const int8_t *rotation,
                              const int8_t *means, const int8_t *drift, int8_t *out)
{
    const scale s = scale_of(&p->out);
    const row offset = row_of(p->offset, p->offset);
    for (int32_t i = p->half - p->pairs; i > 0; i--, rotation += 4, drift += 4, x++, means++, out++) {
        const columns matrix = columns_of(rotation, p->rotation_offset), more = columns_of(drift, p->rotation_offset);
        move(p, s, offset, matrix, more, x, means, out);
    }
}

#endif

void thimble_rotary_moved_s8(const thimble_rotary_moved_s8_params *p, const int8_t *x, const int8_t *rotation,
                             const int8_t *drift, int8_t *out, int32_t tokens)
{
    const thimble_rotary_s8_params *const turned = &p->turned;
    const int32_t size = 2 * turned->half * turned->heads, still = turned->pairs;
    thimble_rotary_s8(turned, x, rotation, out, tokens);
    for (x += still, out += still, rotation += 4 * still; tokens > 0; tokens--, x += size, out += size) {
        move_token(turned, x, rotation, p->means + still, drift, out);
        rotation -= 4 * turned->half;
        drift -= 4 * (turned->half - still);
    }
}
