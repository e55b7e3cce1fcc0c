/* Ambiq Apollo4 at the 96 MHz that its boot loader leaves, the cache before its MRAM, which the boot loader leaves off,
 * and its UART0: a PL011 (Arm DDI 0183) with a clock of its own in the control register, on the pads of the evaluation
 * board that its interface chip offers over USB. */
#include "cortex_m.h"

#define CPU_CACHECFG REGISTER(0x48000000u)
#define CPU_CACHECTRL REGISTER(0x48000008u)
#define CACHECFG_ENABLE 1u
#define CACHECFG_4096_LINES (14u << 4) /* of 16 bytes, direct mapped */
#define CACHECFG_CODE_AND_DATA (3u << 8)
#define CACHECFG_CLOCK_GATES (1u << 10 | 1u << 20) /* of tags and data: they cost no time */
#define CACHECTRL_INVALIDATE 1u

#define PWRCTRL_DEVPWREN REGISTER(0x40021004u)
#define PWRCTRL_DEVPWRSTATUS 0x40021008u
#define DEVPWR_UART0 (1u << 9)
#define GPIO_PINCFG(pad) REGISTER(0x40010000u + 4 * (pad))
#define GPIO_PADKEY REGISTER(0x40010200u)
#define PADKEY_OPEN 0x73u
#define PAD_TX 60u
#define PAD_RX 47u
#define PINCFG_UART 4u
#define PINCFG_INPUT (1u << 4)

#define UART_DR REGISTER(BOARD_UART_ADDRESS + 0x00u)
#define UART_FR REGISTER(BOARD_UART_ADDRESS + 0x18u)
#define UART_IBRD REGISTER(BOARD_UART_ADDRESS + 0x24u)
#define UART_FBRD REGISTER(BOARD_UART_ADDRESS + 0x28u)
#define UART_LCRH REGISTER(BOARD_UART_ADDRESS + 0x2Cu)
#define UART_CR REGISTER(BOARD_UART_ADDRESS + 0x30u)
#define UART_IMSC REGISTER(BOARD_UART_ADDRESS + 0x38u)
#define UART_ICR REGISTER(BOARD_UART_ADDRESS + 0x44u)
#define DR_OVERRUN (1u << 11)
#define FR_RX_EMPTY (1u << 4)
#define FR_TX_FULL (1u << 5)
#define LCRH_8_BITS (3u << 5)
#define CR_CLOCK_24_MHZ (1u << 3 | 1u << 4)
#define CR_ENABLE (1u | 1u << 8 | 1u << 9) /* UART, transmitter, receiver */
#define INT_RX (1u << 4)
#define INT_RX_TIMEOUT (1u << 6)
#define LOOKS 100000u

/* Set up while it is off, then enabled, then made invalid. */
static void cache_init(void)
{
    CPU_CACHECFG = CACHECFG_4096_LINES | CACHECFG_CODE_AND_DATA | CACHECFG_CLOCK_GATES;
    CPU_CACHECFG |= CACHECFG_ENABLE;
    CPU_CACHECTRL = CACHECTRL_INVALIDATE;
    __asm volatile("dsb\n isb" ::: "memory");
}

board_clocks clock_init(void)
{
    cache_init();
    PWRCTRL_DEVPWREN |= DEVPWR_UART0;
    (void)wait_for(PWRCTRL_DEVPWRSTATUS, DEVPWR_UART0, LOOKS);
    GPIO_PADKEY = PADKEY_OPEN;
    GPIO_PINCFG(PAD_TX) = PINCFG_UART;
    GPIO_PINCFG(PAD_RX) = PINCFG_UART | PINCFG_INPUT;
    GPIO_PADKEY = 0;
    return (board_clocks){BOARD_CLOCK_HZ, 24000000u};
}

/* The divider is in 64ths. */
void uart_init(uint32_t uart_hz)
{
    uint32_t divider = (4 * uart_hz + BOARD_BAUD / 2) / BOARD_BAUD;
    UART_CR = CR_CLOCK_24_MHZ;
    UART_IBRD = divider / 64;
    UART_FBRD = divider % 64;
    UART_LCRH = LCRH_8_BITS; /* no FIFO: each byte interrupts */
    UART_IMSC = INT_RX | INT_RX_TIMEOUT;
    UART_CR = CR_CLOCK_24_MHZ | CR_ENABLE;
}

void uart_handler(void)
{
    UART_ICR = INT_RX | INT_RX_TIMEOUT;
    while (!(UART_FR & FR_RX_EMPTY)) {
        if (!receive_has_room()) {
            return;
        }
        uint32_t data = UART_DR;
        receive_keep((uint8_t)data);
        if (data & DR_OVERRUN) {
            receive_lost();
        }
    }
}

void uart_put(uint8_t byte)
{
    while (UART_FR & FR_TX_FULL) {
    }
    UART_DR = byte;
}
