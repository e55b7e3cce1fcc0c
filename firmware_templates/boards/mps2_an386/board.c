/* Vectors, UART and clock of the MPS2 AN386 (Arm DAI 0386; the UART is in Arm DDI 0479, chapter 4.3). */
#include "board.h"

#include "cortex_m.h"

#define CLOCK_HZ 25000000u
#define BAUD 115200u

#define UART_BASE 0x40004000u
#define UART_DATA REGISTER(UART_BASE + 0x00u)
#define UART_STATE REGISTER(UART_BASE + 0x04u)
#define UART_CTRL REGISTER(UART_BASE + 0x08u)
#define UART_INTCLEAR REGISTER(UART_BASE + 0x0Cu)
#define UART_BAUDDIV REGISTER(UART_BASE + 0x10u)
#define STATE_TX_FULL 1u
#define STATE_RX_FULL 2u
#define STATE_RX_OVERRUN 8u
#define CTRL_TX_RX_RXINT 0x0Bu /* transmit, receive, receive interrupt */
#define INT_RX 2u
#define UART_RX_IRQ 0

const char board_name[] = "mps2_an386";
const uint32_t board_tick_hz = CLOCK_HZ;

/* Filled by the interrupt, emptied by board_read; the indices run freely and wrap with their type. */
static volatile uint8_t received[256];
static volatile uint8_t received_in, received_out;

/* Stands for lost bytes; a received byte of this value, which no request holds, is kept as its neighbour. */
#define LOST 0xFFu

static void keep(uint8_t byte) {
    uint8_t next = (uint8_t)(received_in + 1);
    if (next == received_out) {
        received[(uint8_t)(received_in - 1)] = LOST;
    } else {
        received[received_in] = byte;
        received_in = next;
    }
}

static void uart_rx_handler(void) {
    UART_INTCLEAR = INT_RX;
    while (UART_STATE & STATE_RX_FULL) {
        uint8_t byte = (uint8_t)UART_DATA;
        keep(byte == LOST ? LOST - 1 : byte);
    }
    if (UART_STATE & STATE_RX_OVERRUN) {
        UART_STATE = STATE_RX_OVERRUN;
        keep(LOST);
    }
}

extern const vector vectors[];
__attribute__((section(".vectors"), used)) const vector vectors[16 + UART_RX_IRQ + 1] = {
    [0] = (vector)(uintptr_t)stack_top,
    [1] = reset_handler,
    [2] = fault_handler, /* NMI */
    [3] = fault_handler, /* hard */
    [4] = fault_handler, /* memory */
    [5] = fault_handler, /* bus */
    [6] = fault_handler, /* usage */
    [11] = fault_handler, /* SVCall */
    [12] = fault_handler, /* debug monitor */
    [14] = fault_handler, /* PendSV */
    [15] = systick_handler,
    [16 + UART_RX_IRQ] = uart_rx_handler,
};

void board_init(void) {
    UART_BAUDDIV = CLOCK_HZ / BAUD;
    UART_CTRL = CTRL_TX_RX_RXINT;
    REGISTER(0xE000E400u) = 0xE0E0E0E0u; /* IRQ 0-3: low priority, like SysTick */
    NVIC_ISER0 = 1u << UART_RX_IRQ;
    systick_init();
}

int board_read(void) {
    if (received_in == received_out)
        return BOARD_NONE;
    uint8_t byte = received[received_out];
    received_out = (uint8_t)(received_out + 1);
    return byte == LOST ? BOARD_LOST : byte;
}

void board_write(const char *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        while (UART_STATE & STATE_TX_FULL) {
        }
        UART_DATA = (uint8_t)bytes[i];
    }
}
