/* TX and RX of the header. The USB plug is the chip's own, which this firmware does not drive. */
#define NRF52840
#define BOARD_UART_TX_PIN 35u /* P1.03 */
#define BOARD_UART_RX_PIN 42u /* P1.10 */
