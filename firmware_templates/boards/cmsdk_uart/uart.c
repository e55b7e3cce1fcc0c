/* The UART of Arm's Cortex-M System Design Kit (Arm DDI 0479, chapter 4.3), on boards whose clock runs from reset. */
#include "cortex_m.h"

#define UART_DATA REGISTER(BOARD_UART_ADDRESS + 0x00u)
#define UART_STATE REGISTER(BOARD_UART_ADDRESS + 0x04u)
#define UART_CTRL REGISTER(BOARD_UART_ADDRESS + 0x08u)
#define UART_INTCLEAR REGISTER(BOARD_UART_ADDRESS + 0x0Cu)
#define UART_BAUDDIV REGISTER(BOARD_UART_ADDRESS + 0x10u)
#define STATE_TX_FULL 1u
#define STATE_RX_FULL 2u
#define STATE_RX_OVERRUN 8u
#define CTRL_TX_RX_RXINT 0x0Bu /* transmit, receive, receive interrupt */
#define INT_RX 2u

board_clocks clock_init(void)
{
    return (board_clocks){BOARD_CLOCK_HZ, BOARD_CLOCK_HZ};
}

void uart_init(uint32_t uart_hz)
{
    UART_BAUDDIV = uart_hz / BOARD_BAUD;
    UART_CTRL = CTRL_TX_RX_RXINT;
}

void uart_handler(void)
{
    UART_INTCLEAR = INT_RX;
    for (uint32_t state = UART_STATE; state & (STATE_RX_FULL | STATE_RX_OVERRUN); state = UART_STATE) {
        if (!receive_has_room()) {
            return;
        }
        if (state & STATE_RX_FULL) {
            receive_keep((uint8_t)UART_DATA);
        }
        if (state & STATE_RX_OVERRUN) {
            UART_STATE = STATE_RX_OVERRUN;
            receive_lost();
        }
    }
}

void uart_put(uint8_t byte)
{
    while (UART_STATE & STATE_TX_FULL) {
    }
    UART_DATA = byte;
}
