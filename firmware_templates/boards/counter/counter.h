#ifndef THIMBLE_COUNTER_H
#define THIMBLE_COUNTER_H

#include <stdint.h>

/* A counter of 32 bits as one of 64. */
typedef struct {
    uint32_t last, wraps;
} wide_count;

/* Its value, where the 32 bits read `now`; asked at least once each time that they wrap. */
static inline uint64_t widened(wide_count *wide, uint32_t now)
{
    wide->wraps += now < wide->last;
    wide->last = now;
    return (uint64_t)wide->wraps << 32 | now;
}

/* Starts SysTick as a free-running counter of the processor's clock, and its count since then. */
void systick_init(void);
uint64_t systick_ticks(void);

#endif
