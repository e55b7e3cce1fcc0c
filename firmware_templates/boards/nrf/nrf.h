/* What Nordic's nRF51 and nRF52 share (nRF51 reference manual 3.0, nRF52840 product specification 1.7). */
#ifndef NRF_H
#define NRF_H

#include "cortex_m.h"

#define CLOCK_HFCLKSTART REGISTER(0x40000000u)
#define CLOCK_HFCLKSTARTED 0x40000100u
#define CRYSTAL_LOOKS 100000u /* several milliseconds; without a crystal the internal oscillator goes on */
#define P0_OUTSET REGISTER(0x50000508u)
#define P0_DIRSET REGISTER(0x50000518u)
#define P0_PIN_CNF(pin) REGISTER(0x50000700u + 4 * (pin))
#define PIN_CNF_INPUT_PULLED_UP (3u << 2) /* an input whose buffer is connected */

/* Starts the crystal oscillator, which makes the UART's speed exact. */
static inline void crystal_init(void) {
    CLOCK_HFCLKSTART = 1;
    (void)wait_for(CLOCK_HFCLKSTARTED, 1, CRYSTAL_LOOKS);
}

/* The UART's output pin, high as an idle line is. */
static inline void output_pin(uint32_t pin) {
    P0_OUTSET = 1u << pin;
    P0_DIRSET = 1u << pin;
}

/* The UART's input pin: idle where nothing drives it. */
static inline void input_pin(uint32_t pin) { P0_PIN_CNF(pin) = PIN_CNF_INPUT_PULLED_UP; }

/* What the BAUDRATE register takes: a fraction of the clock in 2^-32, of which the hardware uses the upper 20 bits. */
static inline uint32_t baud_rate(uint32_t uart_hz) {
    uint64_t rate = (((uint64_t)BOARD_BAUD << 32) + uart_hz / 2) / uart_hz;
    return (uint32_t)(rate + 0x800u) & 0xFFFFF000u;
}

#endif
