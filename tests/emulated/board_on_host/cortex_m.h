/* Takes the place of a board's cortex_m.h on the host: registers are bytes that remember what was written. */
#ifndef THIMBLE_CORTEX_M_H
#define THIMBLE_CORTEX_M_H

#include <stdbool.h>
#include <stdint.h>

#include "board_facts.h"

/* Where the register at an address of the board lies here. */
volatile void *register_at(uint32_t address);

#define REGISTER(address) (*(volatile uint32_t *)register_at(address))
#define REGISTER16(address) (*(volatile uint16_t *)register_at(address))
#define REGISTER8(address) (*(volatile uint8_t *)register_at(address))
#define NVIC_ICER(irq) REGISTER(0xE000E180u + (irq) / 32 * 4)

typedef struct {
    uint32_t core_hz, uart_hz;
} board_clocks;

board_clocks clock_init(void);
bool wait_for(uintptr_t address, uint32_t bits, uint32_t looks);
void uart_init(uint32_t uart_hz);
void uart_handler(void);
void uart_put(uint8_t byte);
bool receive_has_room(void);
void receive_keep(uint8_t byte);
void receive_lost(void);

#endif
