/* What Nordic's nRF51 and nRF52 share (nRF51 reference manual 3.0, nRF52840 product specification 1.7). The board's
 * pins.h says which chip it has, and its pins: port * 32 + number. */
#ifndef THIMBLE_NRF_H
#define THIMBLE_NRF_H

#include "cortex_m.h"
#include "pins.h"

#if defined(NRF51822)
#define NUM_PINS 32u
#elif defined(NRF52832)
#define NUM_PINS 32u
#elif defined(NRF52833)
#define NUM_PINS 42u /* P1.00 to P1.09 */
#elif defined(NRF52840)
#define NUM_PINS 48u /* P1.00 to P1.15 */
#else
#error "pins.h names no chip whose registers are known here: nRF53, nRF54 and nRF91 have theirs elsewhere"
#endif

_Static_assert(BOARD_UART_TX_PIN < NUM_PINS, "BOARD_UART_TX_PIN is no pin of the chip");
_Static_assert(BOARD_UART_RX_PIN < NUM_PINS, "BOARD_UART_RX_PIN is no pin of the chip");
_Static_assert(BOARD_UART_TX_PIN != BOARD_UART_RX_PIN, "the UART needs two pins");

#define CLOCK_HFCLKSTART REGISTER(0x40000000u)
#define CLOCK_HFCLKSTARTED 0x40000100u
#define CRYSTAL_LOOKS 100000u /* several milliseconds; without a crystal the internal oscillator goes on */
#define PORT(pin) (0x50000000u + (pin) / 32 * 0x300u)
#define GPIO_OUTSET(pin) REGISTER(PORT(pin) + 0x508u)
#define GPIO_DIRSET(pin) REGISTER(PORT(pin) + 0x518u)
#define GPIO_PIN_CNF(pin) REGISTER(PORT(pin) + 0x700u + 4 * ((pin) % 32))
#define PIN_CNF_INPUT_PULLED_UP (3u << 2) /* an input whose buffer is connected */

/* Starts the crystal oscillator, which makes the UART's speed exact. */
static inline void crystal_init(void)
{
    CLOCK_HFCLKSTART = 1;
    (void)wait_for(CLOCK_HFCLKSTARTED, 1, CRYSTAL_LOOKS);
}

/* The UART's output pin, high as an idle line is. */
static inline void output_pin(uint32_t pin)
{
    GPIO_OUTSET(pin) = 1u << pin % 32;
    GPIO_DIRSET(pin) = 1u << pin % 32;
}

/* The UART's input pin: idle where nothing drives it. */
static inline void input_pin(uint32_t pin)
{
    GPIO_PIN_CNF(pin) = PIN_CNF_INPUT_PULLED_UP;
}

/* What the BAUDRATE register takes: a fraction of the clock in 2^-32, of which the hardware uses the upper 20 bits. */
static inline uint32_t baud_rate(uint32_t uart_hz)
{
    uint64_t rate = (((uint64_t)BOARD_BAUD << 32) + uart_hz / 2) / uart_hz;
    return (uint32_t)(rate + 0x800u) & 0xFFFFF000u;
}

#endif
