/* A body of thimble_embedding_s8.c, for cores with Helium (Cortex-M55). */
#ifndef THIMBLE_EMBEDDING_S8_MVE_H
#define THIMBLE_EMBEDDING_S8_MVE_H

void thimble_embedding_rows_s8(const thimble_embedding_s8_params *p, int32_t token, int8_t *out)
{
    const int8_t *weights = (const int8_t *)p->weights + token * p->columns;
    const int16_t *scales = p->column_scales;
    const int16x8_t row_scale = vdupq_n_s16(p->row_scales[token]), base = vdupq_n_s16((int16_t)p->base);
    const int16x8_t lowest = vdupq_n_s16(1), lanes = vnegq_s16(vreinterpretq_s16_u16(vidupq_n_u16(0, 1)));
    const uint8_t *corrections = corrections_of(p, token);
    int8_t *y = out;
    for (int32_t eights = p->columns / 8; eights > 0; eights--, weights += 8, scales += 8, y += 8) {
        const int16x8_t factor = vqdmulhq_s16(vldrhq_s16(scales), row_scale);
        const int16x8_t product = vmulhq_s16(vshlq_n_s16(vldrbq_s16(weights), 8), factor);
        const int16x8_t bits = vandq_s16(vshlq_s16(vdupq_n_s16(*corrections++), lanes), lowest);
        vstrbq_s16(y, vaddq_s16(vaddq_s16(vshrq_n_s16(product, 5), base), bits));
    }
    add_further_planes(p, token, out);
}

#endif
