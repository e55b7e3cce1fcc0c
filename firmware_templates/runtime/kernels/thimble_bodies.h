/* Which body of a kernel is compiled: assembler and intrinsics for the core at hand, or plain C. Every kernel begins
 * with this.
 *
 * THIMBLE_PLAIN_C, defined for the whole library, chooses plain C everywhere: the same results for several times the
 * instructions. It is for builds that keep a register for themselves (-ffixed-r9, -ffixed-r10, ...): some bodies want
 * all that there are, and do not compile; others save such a register and restore it, but an interrupt would find
 * another value in it. Position-independent code for Arm is such a build, and gets plain C by itself.
 *
 * The bodies in assembler use the stack behind the compiler's back, up to 96 bytes beyond what -fstack-usage and the
 * frame's description (CFI) say. They call nothing and have given all back when they return: only a debugger that stops
 * within one sees a wrong caller, and only a count of the stack that adds up the compiler's numbers has to add these
 * bytes.
 *
 * Memory is read as another type than it was declared with: buffers of int8, int16 and int32 take turns in the arena,
 * which is bytes. Compilers that tell memory apart by its type do no harm, since what is written in one width is read
 * in that width, or in bytes, or by memcpy, but for packed data that plain C reads by halfwords: the KV cache in pairs,
 * which is written by bytes, and streams of sparse weights, which are constants. That a buffer's first write does not
 * pass the last read of the one before it is for the compiler to keep, as GCC does; for others with link-time
 * optimization -fno-strict-aliasing is safe. */
#ifndef THIMBLE_BODIES_H
#define THIMBLE_BODIES_H

#include "thimble_place.h"

#if defined(__arm__) && defined(__pic__) && !defined(THIMBLE_PLAIN_C)
#define THIMBLE_PLAIN_C 1
#endif

/* Words are multiplied by one instruction, and that is all there is. */
#if (defined(__riscv_mul) || defined(__XTENSA__)) && !defined(THIMBLE_PLAIN_C)
#define THIMBLE_WORD_PRODUCTS 1
#endif

#if defined(__arm__) && !defined(THIMBLE_PLAIN_C)

#if defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB >= 2
#define THIMBLE_THUMB2 1
#if defined(__GNUC__) && !defined(__clang__)
/* Clang finds no plan for 14 registers, and its constraints for vectors are others. */
#define THIMBLE_ALL_REGISTERS 1
/* GCC finds none without optimization, or with a frame pointer. For size: what is moved out of a loop wants registers
 * too. */
#if defined(__OPTIMIZE_SIZE__) && !defined(THIMBLE_NEVER_FOR_SIZE)
#pragma GCC optimize("omit-frame-pointer", "no-move-loop-invariants", "no-tree-scev-cprop", \
                     "no-tree-loop-distribute-patterns")
#else
#pragma GCC optimize("O2", "omit-frame-pointer", "no-tree-loop-distribute-patterns")
#endif
#endif
#endif
#ifdef __ARM_FEATURE_SAT
#define THIMBLE_SAT 1
#endif
#ifdef __ARM_FEATURE_DSP
#define THIMBLE_DSP 1
#include <arm_acle.h>
#endif
#if defined(__ARM_FEATURE_MVE) && defined(THIMBLE_ALL_REGISTERS)
#define THIMBLE_HELIUM 1
#include <arm_mve.h>
#endif

#endif

#endif
