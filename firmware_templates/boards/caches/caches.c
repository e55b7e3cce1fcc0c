/* Instruction and data cache (Arm DDI 0403, B2.2), made invalid first: after reset they may hold anything. */
#include "caches.h"

#include "cortex_m.h"

#define SCB_CCR REGISTER(0xE000ED14u)
#define SCB_CCSIDR REGISTER(0xE000ED80u)
#define SCB_CSSELR REGISTER(0xE000ED84u)
#define SCB_ICIALLU REGISTER(0xE000EF50u)
#define SCB_DCISW REGISTER(0xE000EF60u)
#define CCR_DATA (1u << 16)
#define CCR_INSTRUCTIONS (1u << 17)

void caches_init(void)
{
    SCB_CSSELR = 0; /* the first data cache */
    __asm volatile("dsb" ::: "memory");
    uint32_t size = SCB_CCSIDR, line_bits = (size & 7) + 4, ways = (size >> 3 & 0x3FF) + 1,
             sets = (size >> 13 & 0x7FFF) + 1;
    uint32_t way_shift = ways > 1 ? (uint32_t)__builtin_clz(ways - 1) : 0;
    for (uint32_t set = 0; set < sets; set++) {
        for (uint32_t way = 0; way < ways; way++) {
            SCB_DCISW = set << line_bits | way << way_shift;
        }
    }
    SCB_ICIALLU = 0;
    __asm volatile("dsb\n isb" ::: "memory");
    SCB_CCR |= CCR_DATA | CCR_INSTRUCTIONS;
    __asm volatile("dsb\n isb" ::: "memory");
}
