/* STM32H743 at 480 MHz from the 8 MHz that the board's ST-LINK gives (RM0433: flash 4.3.8, power 6.6.2, clocks 8.5),
 * and USART3 on PD8 and PD9. Where that clock or the PLL does not start, all goes on at the internal 64 MHz. 480 MHz
 * need silicon of revision V. */
#include "caches.h"
#include "cortex_m.h"

#define RCC 0x58024400u
#define RCC_CR REGISTER(RCC + 0x00u)
#define RCC_CFGR REGISTER(RCC + 0x10u)
#define RCC_D1CFGR REGISTER(RCC + 0x18u)
#define RCC_D2CFGR REGISTER(RCC + 0x1Cu)
#define RCC_D3CFGR REGISTER(RCC + 0x20u)
#define RCC_PLLCKSELR REGISTER(RCC + 0x28u)
#define RCC_PLLCFGR REGISTER(RCC + 0x2Cu)
#define RCC_PLL1DIVR REGISTER(RCC + 0x30u)
#define RCC_AHB4ENR REGISTER(RCC + 0xE0u)
#define RCC_APB1LENR REGISTER(RCC + 0xE8u)
#define RCC_APB4ENR REGISTER(RCC + 0xF4u)
#define PWR_CSR1 0x58024804u
#define PWR_CR3 REGISTER(0x5802480Cu)
#define PWR_D3CR 0x58024818u
#define SYSCFG_PWRCR REGISTER(0x5800042Cu)
#define FLASH_ACR REGISTER(0x52002000u)
#define GPIOD_MODER REGISTER(0x58020C00u)
#define GPIOD_AFRH REGISTER(0x58020C24u)

#define CR_HSEON (1u << 16)
#define CR_HSERDY (1u << 17)
#define CR_HSEBYP (1u << 18)
#define CR_PLL1ON (1u << 24)
#define CR_PLL1RDY (1u << 25)
#define CR3_LDO 2u /* the regulator alone, neither bypassed nor its supply supervised; written once */
#define CSR1_ACTVOSRDY (1u << 13)
#define D3CR_VOSRDY (1u << 13)
#define D3CR_VOS1 (3u << 14)
#define PWRCR_ODEN 1u                    /* VOS1 becomes VOS0 */
#define PLL_SOURCE_8_TO_2 (2u | 4u << 4) /* HSE / 4 */
#define PLL_RANGES (1u << 2 | 1u << 16)  /* 2 to 4 MHz in, the wide oscillator; output P */
#define PLL_2_TO_480 ((480u - 1) | (2u - 1) << 9 | 1u << 16 | 1u << 24) /* * 480 / 2; Q and R as after reset */
#define D1CFGR_DIVIDERS (8u | 4u << 4)                                  /* buses by 2, APB3 by 2 more */
#define D2CFGR_DIVIDERS (4u << 4 | 4u << 8)                             /* APB1, APB2 by 2 more */
#define D3CFGR_DIVIDERS (4u << 4)                                       /* APB4 by 2 more */
#define CFGR_PLL 3u
#define CFGR_PLL_IN_USE (3u << 3)
#define ACR_4_WAITS (4u | 2u << 4) /* at 240 MHz and VOS0 */
#define LOOKS 800000u              /* over 50 ms at 64 MHz */
#define HSI_HZ 64000000u

static bool start_pll(void)
{
    PWR_CR3 = (PWR_CR3 & ~7u) | CR3_LDO;
    if (!wait_for(PWR_CSR1, CSR1_ACTVOSRDY, LOOKS)) {
        return false;
    }
    REGISTER(PWR_D3CR) |= D3CR_VOS1;
    if (!wait_for(PWR_D3CR, D3CR_VOSRDY, LOOKS)) {
        return false;
    }
    RCC_APB4ENR |= 1u << 1; /* SYSCFG */
    (void)RCC_APB4ENR;
    SYSCFG_PWRCR |= PWRCR_ODEN;
    (void)SYSCFG_PWRCR;
    if (!wait_for(PWR_D3CR, D3CR_VOSRDY, LOOKS)) {
        return false;
    }
    RCC_CR |= CR_HSEBYP;
    RCC_CR |= CR_HSEON;
    if (!wait_for(RCC + 0x00u, CR_HSERDY, LOOKS)) {
        return false;
    }
    RCC_PLLCKSELR = PLL_SOURCE_8_TO_2;
    RCC_PLLCFGR = PLL_RANGES;
    RCC_PLL1DIVR = PLL_2_TO_480;
    RCC_CR |= CR_PLL1ON;
    if (!wait_for(RCC + 0x00u, CR_PLL1RDY, LOOKS)) {
        return false;
    }
    FLASH_ACR = ACR_4_WAITS;
    (void)FLASH_ACR; /* it has them before the clock rises */
    RCC_D1CFGR = D1CFGR_DIVIDERS;
    RCC_D2CFGR = D2CFGR_DIVIDERS;
    RCC_D3CFGR = D3CFGR_DIVIDERS;
    RCC_CFGR = CFGR_PLL;
    return wait_for(RCC + 0x10u, CFGR_PLL_IN_USE, LOOKS);
}

board_clocks clock_init(void)
{
    caches_init();
    bool fast = start_pll();
    if (!fast) {
        RCC_CFGR = 0;
        RCC_D1CFGR = RCC_D2CFGR = RCC_D3CFGR = 0;
    }
    RCC_AHB4ENR |= 1u << 3;   /* GPIOD */
    RCC_APB1LENR |= 1u << 18; /* USART3 */
    (void)RCC_APB1LENR;
    GPIOD_MODER = (GPIOD_MODER & ~(15u << 16)) | 10u << 16;
    GPIOD_AFRH = (GPIOD_AFRH & ~0xFFu) | 0x77u;
    return fast ? (board_clocks){BOARD_CLOCK_HZ, BOARD_CLOCK_HZ / 4} : (board_clocks){HSI_HZ, HSI_HZ};
}
