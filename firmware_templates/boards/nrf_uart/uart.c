/* The UART of Nordic's nRF51 (reference manual 3.0, chapter 29). BOARD_UART_TX_PIN and _RX_PIN come from the board's
 * pins.h. */
#include "nrf.h"

#define UART_STARTRX REGISTER(BOARD_UART_ADDRESS + 0x000u)
#define UART_STARTTX REGISTER(BOARD_UART_ADDRESS + 0x008u)
#define UART_RXDRDY REGISTER(BOARD_UART_ADDRESS + 0x108u)
#define UART_TXDRDY REGISTER(BOARD_UART_ADDRESS + 0x11Cu)
#define UART_ERROR REGISTER(BOARD_UART_ADDRESS + 0x124u)
#define UART_INTENSET REGISTER(BOARD_UART_ADDRESS + 0x304u)
#define UART_ERRORSRC REGISTER(BOARD_UART_ADDRESS + 0x480u)
#define UART_ENABLE REGISTER(BOARD_UART_ADDRESS + 0x500u)
#define UART_PSELTXD REGISTER(BOARD_UART_ADDRESS + 0x50Cu)
#define UART_PSELRXD REGISTER(BOARD_UART_ADDRESS + 0x514u)
#define UART_RXD REGISTER(BOARD_UART_ADDRESS + 0x518u)
#define UART_TXD REGISTER(BOARD_UART_ADDRESS + 0x51Cu)
#define UART_BAUDRATE REGISTER(BOARD_UART_ADDRESS + 0x524u)
#define ENABLE_UART 4u
#define INT_RXDRDY (1u << 2)
#define ERROR_OVERRUN 1u

void uart_init(uint32_t uart_hz)
{
    output_pin(BOARD_UART_TX_PIN);
    input_pin(BOARD_UART_RX_PIN);
    UART_PSELTXD = BOARD_UART_TX_PIN;
    UART_PSELRXD = BOARD_UART_RX_PIN;
    UART_BAUDRATE = baud_rate(uart_hz);
    UART_ENABLE = ENABLE_UART;
    UART_INTENSET = INT_RXDRDY;
    UART_STARTRX = 1;
    UART_STARTTX = 1;
}

void uart_handler(void)
{
    while (UART_RXDRDY) {
        if (!receive_has_room()) {
            return;
        }
        UART_RXDRDY = 0;
        receive_keep((uint8_t)UART_RXD);
    }
    if (UART_ERROR && receive_has_room()) {
        uint32_t source = UART_ERRORSRC;
        UART_ERROR = 0;
        UART_ERRORSRC = source;
        if (source & ERROR_OVERRUN) {
            receive_lost();
        }
    }
}

void uart_put(uint8_t byte)
{
    UART_TXDRDY = 0;
    UART_TXD = byte;
    while (!UART_TXDRDY) {
    }
}
