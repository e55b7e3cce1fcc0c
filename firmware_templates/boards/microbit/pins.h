/* The pins to the interface chip, which offers them as a serial port over USB. */
#define NRF51822
#define BOARD_UART_TX_PIN 24u
#define BOARD_UART_RX_PIN 25u
