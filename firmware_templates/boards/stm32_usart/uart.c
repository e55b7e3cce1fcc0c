/* The USART of STM32F4 (RM0090, chapter 30): one status and one data register. The board's clock.c connects it. */
#include "cortex_m.h"

#define USART_SR REGISTER(BOARD_UART_ADDRESS + 0x00u)
#define USART_DR REGISTER(BOARD_UART_ADDRESS + 0x04u)
#define USART_BRR REGISTER(BOARD_UART_ADDRESS + 0x08u)
#define USART_CR1 REGISTER(BOARD_UART_ADDRESS + 0x0Cu)
#define SR_ORE (1u << 3)
#define SR_RXNE (1u << 5)
#define SR_TXE (1u << 7)
#define CR1_RE (1u << 2)
#define CR1_TE (1u << 3)
#define CR1_RXNEIE (1u << 5)
#define CR1_UE (1u << 13)

void uart_init(uint32_t uart_hz)
{
    USART_BRR = (uart_hz + BOARD_BAUD / 2) / BOARD_BAUD;
    USART_CR1 = CR1_UE | CR1_TE | CR1_RE | CR1_RXNEIE;
}

/* Reading the data after the status clears both flags. */
void uart_handler(void)
{
    for (uint32_t status = USART_SR; status & (SR_RXNE | SR_ORE); status = USART_SR) {
        if (!receive_has_room()) {
            return;
        }
        uint8_t byte = (uint8_t)USART_DR;
        if (status & SR_RXNE) {
            receive_keep(byte);
        }
        if (status & SR_ORE) {
            receive_lost();
        }
    }
}

void uart_put(uint8_t byte)
{
    while (!(USART_SR & SR_TXE)) {
    }
    USART_DR = byte;
}
