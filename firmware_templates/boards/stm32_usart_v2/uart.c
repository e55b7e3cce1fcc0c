/* The USART of STM32F7 and H7 (RM0385, chapter 31): flags and data each way in registers of their own. The board's
 * clock.c connects it. */
#include "cortex_m.h"

#define USART_CR1 REGISTER(BOARD_UART_ADDRESS + 0x00u)
#define USART_BRR REGISTER(BOARD_UART_ADDRESS + 0x0Cu)
#define USART_ISR REGISTER(BOARD_UART_ADDRESS + 0x1Cu)
#define USART_ICR REGISTER(BOARD_UART_ADDRESS + 0x20u)
#define USART_RDR REGISTER(BOARD_UART_ADDRESS + 0x24u)
#define USART_TDR REGISTER(BOARD_UART_ADDRESS + 0x28u)
#define ISR_ORE (1u << 3)
#define ISR_RXNE (1u << 5)
#define ISR_TXE (1u << 7)
#define CR1_UE (1u << 0)
#define CR1_RE (1u << 2)
#define CR1_TE (1u << 3)
#define CR1_RXNEIE (1u << 5)

void uart_init(uint32_t uart_hz)
{
    USART_BRR = (uart_hz + BOARD_BAUD / 2) / BOARD_BAUD;
    USART_CR1 = CR1_UE | CR1_TE | CR1_RE | CR1_RXNEIE;
}

void uart_handler(void)
{
    for (uint32_t flags = USART_ISR; flags & (ISR_RXNE | ISR_ORE); flags = USART_ISR) {
        if (!receive_has_room()) {
            return;
        }
        if (flags & ISR_RXNE) {
            receive_keep((uint8_t)USART_RDR);
        }
        if (flags & ISR_ORE) {
            USART_ICR = ISR_ORE;
            receive_lost();
        }
    }
}

void uart_put(uint8_t byte)
{
    while (!(USART_ISR & ISR_TXE)) {
    }
    USART_TDR = byte;
}
