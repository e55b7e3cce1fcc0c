/* The pins to the interface chip, which offers them as a serial port over USB. */
#define NRF52840
#define BOARD_UART_TX_PIN 6u
#define BOARD_UART_RX_PIN 8u
