/* Armv7-M's long products and saturation, and the DSP extension (Arm DDI 0403, A7.7). */
#include "probe.h"

#define UNARY(id, instruction)                                            \
    static uint64_t id##_core(uint32_t a, uint32_t b, uint64_t c) {       \
        uint32_t result;                                                  \
        (void)b, (void)c;                                                 \
        __asm volatile(instruction : "=r"(result) : "r"(a));              \
        return result;                                                    \
    }
#define BINARY(id, instruction)                                           \
    static uint64_t id##_core(uint32_t a, uint32_t b, uint64_t c) {       \
        uint32_t result;                                                  \
        (void)c;                                                          \
        __asm volatile(instruction : "=r"(result) : "r"(a), "r"(b));      \
        return result;                                                    \
    }
#define TERNARY(id, instruction)                                                         \
    static uint64_t id##_core(uint32_t a, uint32_t b, uint64_t c) {                      \
        uint32_t result;                                                                 \
        __asm volatile(instruction : "=r"(result) : "r"(a), "r"(b), "r"((uint32_t)c));   \
        return result;                                                                   \
    }
#define LONG(id, instruction)                                                            \
    static uint64_t id##_core(uint32_t a, uint32_t b, uint64_t c) {                      \
        uint32_t low = (uint32_t)c, high = (uint32_t)(c >> 32);                          \
        __asm volatile(instruction : "+r"(low), "+r"(high) : "r"(a), "r"(b));            \
        return (uint64_t)high << 32 | low;                                               \
    }
#define PLAIN(id) static uint64_t id##_plain(__attribute__((unused)) uint32_t a, __attribute__((unused)) uint32_t b, __attribute__((unused)) uint64_t c)
#define CASE(name, id) {name, id##_core, id##_plain}

#if __ARM_ARCH >= 7
LONG(smull, "smull %0, %1, %2, %3")
PLAIN(smull) { return (uint64_t)signed_product((int32_t)a, (int32_t)b); }

LONG(umull, "umull %0, %1, %2, %3")
PLAIN(umull) { return unsigned_product(a, b); }

LONG(smlal, "smlal %0, %1, %2, %3")
PLAIN(smlal) { return c + (uint64_t)signed_product((int32_t)a, (int32_t)b); }

UNARY(clz, "clz %0, %1")
PLAIN(clz) { return leading_zeros(a); }

UNARY(ssat, "ssat %0, #8, %1")
PLAIN(ssat) { return (uint32_t)clamped((int32_t)a, -128, 127); }
#endif

#ifdef __ARM_FEATURE_DSP
static int32_t low(uint32_t word) { return (int16_t)word; }
static int32_t high(uint32_t word) { return (int16_t)(word >> 16); }
static uint32_t pair(int32_t upper, int32_t lower) { return (uint32_t)upper << 16 | ((uint32_t)lower & 0xFFFFu); }

/* Two products of 2^30 are 2^31: what follows is modulo 2^32, or has 64 bits. */
static uint32_t word_of(int64_t value) { return (uint32_t)(uint64_t)value; }
static int64_t products(uint32_t a, uint32_t b) { return (int64_t)(low(a) * low(b)) + high(a) * high(b); }
static int64_t crossed(uint32_t a, uint32_t b) { return (int64_t)(low(a) * high(b)) + high(a) * low(b); }
static uint64_t upper_rounded(uint64_t value) { return (uint32_t)((value + 0x80000000u) >> 32); }

TERNARY(smlad, "smlad %0, %1, %2, %3")
PLAIN(smlad) { return word_of(products(a, b) + (int32_t)c); }

TERNARY(smladx, "smladx %0, %1, %2, %3")
PLAIN(smladx) { return word_of(crossed(a, b) + (int32_t)c); }

BINARY(smuad, "smuad %0, %1, %2")
PLAIN(smuad) { return word_of(products(a, b)); }

LONG(smlald, "smlald %0, %1, %2, %3")
PLAIN(smlald) { return c + (uint64_t)products(a, b); }

TERNARY(smlabb, "smlabb %0, %1, %2, %3")
PLAIN(smlabb) { return word_of((int64_t)(low(a) * low(b)) + (int32_t)c); }

LONG(smlalbb, "smlalbb %0, %1, %2, %3")
PLAIN(smlalbb) { return c + (uint64_t)(int64_t)(low(a) * low(b)); }

BINARY(smmulr, "smmulr %0, %1, %2")
PLAIN(smmulr) { return upper_rounded((uint64_t)signed_product((int32_t)a, (int32_t)b)); }

TERNARY(smmlar, "smmlar %0, %1, %2, %3")
PLAIN(smmlar) { return upper_rounded((c << 32) + (uint64_t)signed_product((int32_t)a, (int32_t)b)); }

TERNARY(smmlsr, "smmlsr %0, %1, %2, %3")
PLAIN(smmlsr) { return upper_rounded((c << 32) - (uint64_t)signed_product((int32_t)a, (int32_t)b)); }

UNARY(sxtb16, "sxtb16 %0, %1")
PLAIN(sxtb16) { return pair((int8_t)(a >> 16), (int8_t)a); }

UNARY(sxtb16_ror, "sxtb16 %0, %1, ror #8")
PLAIN(sxtb16_ror) { return pair((int8_t)(a >> 24), (int8_t)(a >> 8)); }

BINARY(sxtab16, "sxtab16 %0, %1, %2")
PLAIN(sxtab16) { return pair(high(a) + (int8_t)(b >> 16), low(a) + (int8_t)b); }

BINARY(pkhbt, "pkhbt %0, %1, %2")
PLAIN(pkhbt) { return (a & 0xFFFFu) | (b & 0xFFFF0000u); }

BINARY(pkhtb, "pkhtb %0, %1, %2, asr #16")
PLAIN(pkhtb) { return (a & 0xFFFF0000u) | b >> 16; }

BINARY(sadd16, "sadd16 %0, %1, %2")
PLAIN(sadd16) { return pair(high(a) + high(b), low(a) + low(b)); }

BINARY(shadd16, "shadd16 %0, %1, %2")
PLAIN(shadd16) { return pair((high(a) + high(b)) >> 1, (low(a) + low(b)) >> 1); }

UNARY(usat16, "usat16 %0, #8, %1")
PLAIN(usat16) { return pair(clamped(high(a), 0, 255), clamped(low(a), 0, 255)); }
#endif

const scalar_case scalar_cases[] = {
#if __ARM_ARCH >= 7
    CASE("SMULL", smull), CASE("UMULL", umull), CASE("SMLAL", smlal), CASE("CLZ", clz), CASE("SSAT", ssat),
#endif
#ifdef __ARM_FEATURE_DSP
    CASE("SMLAD", smlad), CASE("SMLADX", smladx), CASE("SMUAD", smuad), CASE("SMLALD", smlald), CASE("SMLABB", smlabb),
    CASE("SMLALBB", smlalbb), CASE("SMMULR", smmulr), CASE("SMMLAR", smmlar), CASE("SMMLSR", smmlsr), CASE("SXTB16", sxtb16),
    CASE("SXTB16", sxtb16_ror), CASE("SXTAB16", sxtab16), CASE("PKHBT", pkhbt), CASE("PKHTB", pkhtb), CASE("SADD16", sadd16),
    CASE("SHADD16", shadd16), CASE("USAT16", usat16),
#endif
};
const size_t num_scalar_cases = sizeof scalar_cases / sizeof *scalar_cases;
