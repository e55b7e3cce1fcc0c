/* A body of thimble_embedding_s8.c, for cores with DSP instructions (Cortex-M4, M7, M33). */
#ifndef THIMBLE_EMBEDDING_S8_DSP_H
#define THIMBLE_EMBEDDING_S8_DSP_H

/* Two columns. A row's weights are a byte of both halfwords, once 128 is added where the byte below carries or is
 * d + 128; a correction is the carry of a shift. */
/* clang-format off */
#define TWO_COLUMNS                                           \
    "ldr     %[w], [%[weights]], #8\n\t"                      \
    "ldr     %[c], [%[scales]], #4\n\t"                       \
    "sadd16  %[w], %[w], %[carry]\n\t"                        \
    "smulwb  %[product], %[twice_row_scale], %[c]\n\t"        \
    "lsr     %[w], %[w], %[shift]\n\t"                        \
    "smulwt  %[c], %[twice_row_scale], %[c]\n\t"              \
    "sxtb16  %[w], %[w]\n\t"                                  \
    "smulbb  %[product], %[w], %[product]\n\t"                \
    "smultb  %[c], %[w], %[c]\n\t"                            \
    "lsrs    %[bits], %[bits], #1\n\t"                        \
    "adc     %[product], %[base], %[product], asr #13\n\t"    \
    "lsrs    %[bits], %[bits], #1\n\t"                        \
    "adc     %[c], %[base], %[c], asr #13\n\t"                \
    "strb    %[product], [%[y]], #1\n\t"                      \
    "strb    %[c], [%[y]], #1\n\t"
/* clang-format on */

void thimble_embedding_pairs_s8(const thimble_embedding_s8_params *p, int32_t token, int8_t *out)
{
    const int16_t *weights = pairs_of(p, token), *scales = p->column_scales;
    const int32_t twice_row_scale = 2 * p->row_scales[token], base = p->base;
    const uint32_t carry = (token + 1) & 2 ? 0 : 0x00800080;
    const int32_t shift = token & 1 ? 0 : 8;
    const uint8_t *corrections = corrections_of(p, token);
    const int8_t *const end = out + p->columns;
    for (int8_t *y = out; y != end;) {
        uint32_t bits = *corrections++, w, c, product;
        /* clang-format off */
        __asm__ volatile(TWO_COLUMNS TWO_COLUMNS TWO_COLUMNS TWO_COLUMNS
                         : [weights] "+&r"(weights), [scales] "+&r"(scales), [y] "+&r"(y), [bits] "+&r"(bits),
                           [w] "=&r"(w), [c] "=&r"(c), [product] "=&r"(product)
                         : [twice_row_scale] "r"(twice_row_scale), [base] "r"(base), [carry] "r"(carry),
                           [shift] "r"(shift)
                         : "cc", "memory");
        /* clang-format on */
    }
    add_further_planes(p, token, out);
}

#endif
