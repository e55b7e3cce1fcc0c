/* Helium (Arm DDI 0553, C2.4). */
#include "probe.h"

#ifdef __ARM_FEATURE_MVE
/* q0 and q1 are the operands; q2 starts as q0, and is the result. */
#define VECTOR(id, instruction)                                                                                     \
    static void id##_core(const uint32_t a[4], const uint32_t b[4], uint32_t out[4]) {                              \
        __asm volatile("vldrw.u32 q0, [%0]\n vldrw.u32 q1, [%1]\n vmov q2, q0\n" instruction "\n vstrw.32 q2, [%2]" \
                       :                                                                                            \
                       : "r"(a), "r"(b), "r"(out)                                                                   \
                       : "q0", "q1", "q2", "memory");                                                               \
    }
/* The result is in a general register, which starts as the first vector's lowest word. */
#define ACROSS(id, instruction)                                                                   \
    static void id##_core(const uint32_t a[4], const uint32_t b[4], uint32_t out[4]) {            \
        register uint32_t sum __asm("r0") = a[0];                                                 \
        __asm volatile("vldrw.u32 q0, [%1]\n vldrw.u32 q1, [%2]\n" instruction                    \
                       : "+r"(sum)                                                                \
                       : "r"(a), "r"(b)                                                           \
                       : "q0", "q1", "memory");                                                   \
        out[0] = sum;                                                                             \
    }
#define PLAIN(id)                                                                                              \
    static void id##_plain(__attribute__((unused)) const uint32_t a[4], __attribute__((unused)) const uint32_t b[4], uint32_t out[4])
#define EACH_WORD(id, ...)                             \
    PLAIN(id) {                                        \
        for (int i = 0; i < 4; i++)                    \
            out[i] = (uint32_t)(__VA_ARGS__);          \
    }
#define CASE(name, id) {name, id##_core, id##_plain}
#define INT32(word) ((int32_t)(word))

static int32_t half_of(const uint32_t vector[4], int i) { return (int16_t)(vector[i / 2] >> i % 2 * 16); }
static int32_t byte_of(const uint32_t vector[4], int i) { return (int8_t)(vector[i / 4] >> i % 4 * 8); }

VECTOR(vmullb, "vmullb.s16 q2, q0, q1")
EACH_WORD(vmullb, half_of(a, 2 * i) * half_of(b, 2 * i))

VECTOR(vmullt, "vmullt.s16 q2, q0, q1")
EACH_WORD(vmullt, half_of(a, 2 * i + 1) * half_of(b, 2 * i + 1))

VECTOR(vclz, "vclz.i32 q2, q0")
EACH_WORD(vclz, leading_zeros(a[i]))

VECTOR(vmul, "vmul.i32 q2, q0, q1")
EACH_WORD(vmul, unsigned_product(a[i], b[i]))

VECTOR(vqrdmulh, "vqrdmulh.s32 q2, q0, q1")
EACH_WORD(vqrdmulh, clamped((signed_product(INT32(a[i]), INT32(b[i])) + (1 << 30)) >> 31, INT32_MIN, INT32_MAX))

VECTOR(vrmulh_s, "vrmulh.s32 q2, q0, q1")
EACH_WORD(vrmulh_s, (uint64_t)(signed_product(INT32(a[i]), INT32(b[i])) + 0x80000000ll) >> 32)

VECTOR(vrmulh_u, "vrmulh.u32 q2, q0, q1")
EACH_WORD(vrmulh_u, (unsigned_product(a[i], b[i]) + 0x80000000u) >> 32)

/* Each word's count is the lowest byte of the other vector's, which here lies between -31 and 31. */
static int32_t shift_of(uint32_t word) { return (int32_t)(word % 63u) - 31; }
static int64_t shifted(int64_t value, int32_t count) {
    return count >= 0 ? (int64_t)((uint64_t)value << count) : (value + ((int64_t)1 << (-count - 1))) >> -count;
}
#define SHIFT(id, instruction)                                                         \
    VECTOR(id##_by, instruction)                                                       \
    static void id##_core(const uint32_t a[4], const uint32_t b[4], uint32_t out[4]) { \
        uint32_t counts[4];                                                            \
        for (int i = 0; i < 4; i++)                                                    \
            counts[i] = (uint32_t)shift_of(b[i]);                                      \
        id##_by_core(a, counts, out);                                                  \
    }
SHIFT(vrshl_s, "vrshl.s32 q2, q0, q1")
EACH_WORD(vrshl_s, shifted(INT32(a[i]), shift_of(b[i])))

SHIFT(vrshl_u, "vrshl.u32 q2, q0, q1")
EACH_WORD(vrshl_u, shifted((int64_t)a[i], shift_of(b[i])))

SHIFT(vqshl, "vqshl.s32 q2, q0, q1")
static int32_t saturating_shift(int32_t value, int32_t count) {
    return count < 0 ? value >> -count : clamped((int64_t)((uint64_t)(int64_t)value << count), INT32_MIN, INT32_MAX);
}
EACH_WORD(vqshl, saturating_shift(INT32(a[i]), shift_of(b[i])))

VECTOR(vmax, "vmax.s32 q2, q0, q1")
EACH_WORD(vmax, INT32(a[i]) > INT32(b[i]) ? a[i] : b[i])

VECTOR(vmin, "vmin.s32 q2, q0, q1")
EACH_WORD(vmin, INT32(a[i]) < INT32(b[i]) ? a[i] : b[i])

VECTOR(vmovlb16, "vmovlb.s16 q2, q0")
EACH_WORD(vmovlb16, half_of(a, 2 * i))

VECTOR(vmovlt16, "vmovlt.s16 q2, q0")
EACH_WORD(vmovlt16, half_of(a, 2 * i + 1))

#define BYTES(i, first) ((uint32_t)byte_of(a, 4 * (i) + (first) + 2) << 16 | ((uint32_t)byte_of(a, 4 * (i) + (first)) & 0xFFFFu))
VECTOR(vmovlb8, "vmovlb.s8 q2, q0")
EACH_WORD(vmovlb8, BYTES(i, 0))

VECTOR(vmovlt8, "vmovlt.s8 q2, q0")
EACH_WORD(vmovlt8, BYTES(i, 1))

#define NARROWED(word) ((uint32_t)clamped(INT32(word), INT16_MIN, INT16_MAX))
VECTOR(vqmovnb32, "vqmovnb.s32 q2, q1")
EACH_WORD(vqmovnb32, (a[i] & 0xFFFF0000u) | (NARROWED(b[i]) & 0xFFFFu))

VECTOR(vqmovnt32, "vqmovnt.s32 q2, q1")
EACH_WORD(vqmovnt32, (a[i] & 0xFFFFu) | NARROWED(b[i]) << 16)

#define NARROWED_HALF(i) ((uint32_t)clamped(half_of(b, (i)), INT8_MIN, INT8_MAX) & 0xFFu)
VECTOR(vqmovnb16, "vqmovnb.s16 q2, q1")
EACH_WORD(vqmovnb16, (a[i] & 0xFF00FF00u) | NARROWED_HALF(2 * i) | NARROWED_HALF(2 * i + 1) << 16)

VECTOR(vqmovnt16, "vqmovnt.s16 q2, q1")
EACH_WORD(vqmovnt16, (a[i] & 0x00FF00FFu) | NARROWED_HALF(2 * i) << 8 | NARROWED_HALF(2 * i + 1) << 24)

#define SUM(id, count, term)                                 \
    PLAIN(id) {                                              \
        out[0] = a[0];                                       \
        for (int i = 0; i < (count); i++)                    \
            out[0] += (uint32_t)(term);                      \
    }
ACROSS(vmladava8, "vmladava.s8 r0, q0, q1")
SUM(vmladava8, 16, byte_of(a, i) * byte_of(b, i))

ACROSS(vmladava16, "vmladava.s16 r0, q0, q1")
SUM(vmladava16, 8, half_of(a, i) * half_of(b, i))

ACROSS(vaddva8, "vaddva.s8 r0, q1")
SUM(vaddva8, 16, byte_of(b, i))

ACROSS(vaddva32, "vaddva.u32 r0, q1")
SUM(vaddva32, 4, b[i])
#endif

const vector_case vector_cases[] = {
#ifdef __ARM_FEATURE_MVE
    CASE("VMULLB.S16", vmullb),      CASE("VMULLT.S16", vmullt),      CASE("VCLZ.I32", vclz),           CASE("VMUL.I32", vmul),
    CASE("VQRDMULH.S32", vqrdmulh),  CASE("VRMULH.S32", vrmulh_s),    CASE("VRMULH.U32", vrmulh_u),     CASE("VRSHL.S32", vrshl_s),
    CASE("VRSHL.U32", vrshl_u),      CASE("VQSHL.S32", vqshl),        CASE("VMAX.S32", vmax),           CASE("VMIN.S32", vmin),
    CASE("VMOVLB.S16", vmovlb16),    CASE("VMOVLT.S16", vmovlt16),    CASE("VMOVLB.S8", vmovlb8),       CASE("VMOVLT.S8", vmovlt8),
    CASE("VQMOVNB.S32", vqmovnb32),  CASE("VQMOVNT.S32", vqmovnt32),  CASE("VQMOVNB.S16", vqmovnb16),   CASE("VQMOVNT.S16", vqmovnt16),
    CASE("VMLADAVA.S8", vmladava8),  CASE("VMLADAVA.S16", vmladava16), CASE("VADDVA.S8", vaddva8),      CASE("VADDVA.U32", vaddva32),
#endif
};
const size_t num_vector_cases = sizeof vector_cases / sizeof *vector_cases;
