/* The UARTE of Nordic's nRF52 (nRF52840 product specification 1.7, 6.34): it moves bytes to and from RAM by itself,
 * here one at a time. BOARD_UART_TX_PIN and _RX_PIN come from the board's pins.h. */
#include "nrf.h"

#define UARTE_STARTRX REGISTER(BOARD_UART_ADDRESS + 0x000u)
#define UARTE_STARTTX REGISTER(BOARD_UART_ADDRESS + 0x008u)
#define UARTE_ENDRX REGISTER(BOARD_UART_ADDRESS + 0x110u)
#define UARTE_ENDTX REGISTER(BOARD_UART_ADDRESS + 0x120u)
#define UARTE_ERROR REGISTER(BOARD_UART_ADDRESS + 0x124u)
#define UARTE_INTENSET REGISTER(BOARD_UART_ADDRESS + 0x304u)
#define UARTE_ERRORSRC REGISTER(BOARD_UART_ADDRESS + 0x480u)
#define UARTE_ENABLE REGISTER(BOARD_UART_ADDRESS + 0x500u)
#define UARTE_PSELTXD REGISTER(BOARD_UART_ADDRESS + 0x50Cu)
#define UARTE_PSELRXD REGISTER(BOARD_UART_ADDRESS + 0x514u)
#define UARTE_BAUDRATE REGISTER(BOARD_UART_ADDRESS + 0x524u)
#define UARTE_RXD_PTR REGISTER(BOARD_UART_ADDRESS + 0x534u)
#define UARTE_RXD_MAXCNT REGISTER(BOARD_UART_ADDRESS + 0x538u)
#define UARTE_TXD_PTR REGISTER(BOARD_UART_ADDRESS + 0x544u)
#define UARTE_TXD_MAXCNT REGISTER(BOARD_UART_ADDRESS + 0x548u)
#define ENABLE_UARTE 8u
#define INT_ENDRX (1u << 4)
#define INT_ERROR (1u << 9)
#define ERROR_OVERRUN 1u

/* Where the hardware reads and writes: RAM, not flash. */
static volatile uint8_t in, out;

void uart_init(uint32_t uart_hz)
{
    output_pin(BOARD_UART_TX_PIN);
    input_pin(BOARD_UART_RX_PIN);
    UARTE_PSELTXD = BOARD_UART_TX_PIN;
    UARTE_PSELRXD = BOARD_UART_RX_PIN;
    UARTE_BAUDRATE = baud_rate(uart_hz);
    UARTE_RXD_PTR = (uint32_t)(uintptr_t)&in;
    UARTE_RXD_MAXCNT = 1;
    UARTE_TXD_PTR = (uint32_t)(uintptr_t)&out;
    UARTE_TXD_MAXCNT = 1;
    UARTE_INTENSET = INT_ENDRX | INT_ERROR;
    UARTE_ENABLE = ENABLE_UARTE;
    UARTE_STARTRX = 1;
}

void uart_handler(void)
{
    if (!receive_has_room()) {
        return;
    }
    if (UARTE_ENDRX) {
        UARTE_ENDRX = 0;
        uint8_t byte = in;
        UARTE_STARTRX = 1;
        receive_keep(byte);
    }
    if (UARTE_ERROR) {
        uint32_t source = UARTE_ERRORSRC;
        UARTE_ERROR = 0;
        UARTE_ERRORSRC = source;
        if (source & ERROR_OVERRUN) {
            receive_lost();
        }
    }
}

void uart_put(uint8_t byte)
{
    out = byte;
    UARTE_ENDTX = 0;
    UARTE_STARTTX = 1;
    while (!UARTE_ENDTX) {
    }
}
