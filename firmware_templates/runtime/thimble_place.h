/* Where code and constants lie, as far as C says it; and what an application says once for all files in its own
 * thimble_config.h, where no compiler options reach them: docs/embed.md has a list. */
#ifndef THIMBLE_PLACE_H
#define THIMBLE_PLACE_H

#ifdef __has_include
#if __has_include("thimble_config.h")
#include "thimble_config.h"
#endif
#endif

/* A section of a name, for functions or constants. */
#ifndef THIMBLE_SECTION
#ifdef __ELF__
#define THIMBLE_SECTION(name) __attribute__((section(name)))
#else
#define THIMBLE_SECTION(name)
#endif
#endif

/* Kernels lie in sections of their own, which linker scripts collect with other code, and may put into faster memory.
 */
#ifndef THIMBLE_HOT
#define THIMBLE_HOT(name) THIMBLE_SECTION(".text.thimble." #name)
#endif

/* Weights are read in words. */
#ifdef __GNUC__
#define THIMBLE_ALIGNED __attribute__((aligned(4)))
#else
#define THIMBLE_ALIGNED
#endif

#endif
