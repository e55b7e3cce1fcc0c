/* STM32WBA52 at 96 MHz from its crystal of 32 MHz (RM0493: flash 7, power 11, clocks 12), its instruction cache, and
 * USART1 on PB12 and PA8. Where crystal or PLL does not start, all goes on at the internal 16 MHz. */
#include "cortex_m.h"

#define RCC 0x46020C00u
#define RCC_CR REGISTER(RCC + 0x00u)
#define RCC_CFGR1 REGISTER(RCC + 0x1Cu)
#define RCC_PLL1CFGR REGISTER(RCC + 0x28u)
#define RCC_PLL1DIVR REGISTER(RCC + 0x34u)
#define RCC_CFGR4 REGISTER(RCC + 0x200u)
#define RCC_AHB2ENR REGISTER(RCC + 0x8Cu)
#define RCC_AHB4ENR REGISTER(RCC + 0x94u)
#define RCC_APB2ENR REGISTER(RCC + 0xA4u)
#define PWR_VOSR 0x4602080Cu
#define FLASH_ACR REGISTER(0x40022000u)
#define ICACHE_CR REGISTER(0x40030400u)
#define GPIOA_MODER REGISTER(0x42020000u)
#define GPIOA_AFRH REGISTER(0x42020024u)
#define GPIOB_MODER REGISTER(0x42020400u)
#define GPIOB_AFRH REGISTER(0x42020424u)

#define CR_HSEON (1u << 16)
#define CR_HSERDY (1u << 17)
#define CR_PLL1ON (1u << 24)
#define CR_PLL1RDY (1u << 25)
#define VOSR_RANGE_1 (1u << 16)
#define VOSR_READY (1u << 15)
#define PLL_HSE_TO_4 (3u | 0u << 2 | (8u - 1) << 8 | 1u << 18)        /* 32 MHz / 8, an input of 4 to 8 MHz; output R */
#define PLL_4_TO_96 ((48u - 1) | 1u << 9 | 1u << 16 | (2u - 1) << 24) /* * 48 / 2; P and Q as after reset */
#define CFGR1_PLL 3u
#define CFGR1_PLL_IN_USE (3u << 2)
#define CFGR4_RADIO_BUS_BY_4 6u /* the bus of the radio takes 32 MHz at most, below the PLL's clock */
#define ACR_3_WAITS_AND_PREFETCH (3u | 1u << 8)
#define ICACHE_ENABLE 1u
#define LOOKS 200000u
#define HSI_HZ 16000000u

static bool start_pll(void)
{
    RCC_AHB4ENR |= 1u << 2; /* PWR */
    (void)RCC_AHB4ENR;
    REGISTER(PWR_VOSR) |= VOSR_RANGE_1;
    (void)wait_for(PWR_VOSR, VOSR_READY, LOOKS);
    RCC_CR |= CR_HSEON;
    if (!wait_for(RCC + 0x00u, CR_HSERDY, LOOKS)) {
        return false;
    }
    RCC_PLL1CFGR = PLL_HSE_TO_4;
    RCC_PLL1DIVR = PLL_4_TO_96;
    RCC_CR |= CR_PLL1ON;
    if (!wait_for(RCC + 0x00u, CR_PLL1RDY, LOOKS)) {
        return false;
    }
    FLASH_ACR = ACR_3_WAITS_AND_PREFETCH;
    (void)FLASH_ACR; /* it has them before the clock rises */
    RCC_CFGR4 = (RCC_CFGR4 & ~7u) | CFGR4_RADIO_BUS_BY_4;
    RCC_CFGR1 = CFGR1_PLL;
    return wait_for(RCC + 0x1Cu, CFGR1_PLL_IN_USE, LOOKS);
}

board_clocks clock_init(void)
{
    bool fast = start_pll();
    if (!fast) {
        RCC_CFGR1 = 0;
    }
    ICACHE_CR |= ICACHE_ENABLE;
    RCC_AHB2ENR |= 3u;       /* GPIOA, GPIOB */
    RCC_APB2ENR |= 1u << 14; /* USART1 */
    (void)RCC_APB2ENR;
    GPIOB_MODER = (GPIOB_MODER & ~(3u << 24)) | 2u << 24;
    GPIOB_AFRH = (GPIOB_AFRH & ~(15u << 16)) | 7u << 16;
    GPIOA_MODER = (GPIOA_MODER & ~(3u << 16)) | 2u << 16;
    GPIOA_AFRH = (GPIOA_AFRH & ~15u) | 7u;
    return fast ? (board_clocks){BOARD_CLOCK_HZ, BOARD_CLOCK_HZ} : (board_clocks){HSI_HZ, HSI_HZ};
}
