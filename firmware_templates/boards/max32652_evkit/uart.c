/* MAX32652 at 120 MHz from its own oscillator, its instruction cache, and UART0 on P2.12 and P2.11 (MAX32650-MAX32652
 * user guide: system 4, GPIO 6, UART 12). Where that oscillator does not start, all goes on at the 50 MHz of after
 * reset. */
#include "cortex_m.h"

#define GCR 0x40000000u
#define GCR_CLK_CTRL REGISTER(GCR + 0x08u)
#define GCR_PCLK_DIS0 REGISTER(GCR + 0x24u)
#define CLK_CTRL_SELECT (7u << 9)
#define CLK_CTRL_120_MHZ (4u << 9)
#define CLK_CTRL_IN_USE (1u << 13)
#define CLK_CTRL_120_MHZ_ON (1u << 19)
#define CLK_CTRL_120_MHZ_READY (1u << 27)
#define PCLK_DIS0_GPIO2 (1u << 2)
#define PCLK_DIS0_UART0 (1u << 9)
#define ICC 0x4002A000u
#define ICC_CONTROL REGISTER(ICC + 0x100u)
#define ICC_INVALIDATE REGISTER(ICC + 0x700u)
#define ICC_ENABLE 1u
#define ICC_READY (1u << 16)
#define GPIO2 0x4000A000u
#define GPIO2_EN_CLR REGISTER(GPIO2 + 0x08u)     /* to a peripheral */
#define GPIO2_AF_SEL_CLR REGISTER(GPIO2 + 0x70u) /* to the first of the two */
#define UART_PINS (1u << 11 | 1u << 12)
#define LOOKS 200000u
#define RESET_HZ 50000000u

#define UART_CTRL REGISTER(BOARD_UART_ADDRESS + 0x00u)
#define UART_THRESHOLDS REGISTER(BOARD_UART_ADDRESS + 0x04u)
#define UART_STATUS REGISTER(BOARD_UART_ADDRESS + 0x08u)
#define UART_INT_EN REGISTER(BOARD_UART_ADDRESS + 0x0Cu)
#define UART_INT_FL REGISTER(BOARD_UART_ADDRESS + 0x10u)
#define UART_BAUD0 REGISTER(BOARD_UART_ADDRESS + 0x14u)
#define UART_BAUD1 REGISTER(BOARD_UART_ADDRESS + 0x18u)
#define UART_FIFO REGISTER(BOARD_UART_ADDRESS + 0x1Cu)
#define CTRL_ENABLE 1u
#define CTRL_FLUSH (3u << 5)
#define CTRL_8_BITS (3u << 8)
#define THRESHOLD_1_BYTE 1u
#define STATUS_RX_EMPTY (1u << 4)
#define STATUS_TX_FULL (1u << 7)
#define INT_OVERRUN (1u << 3)
#define INT_RECEIVED (1u << 4)
#define BAUD0_8_A_BIT (4u << 16)

board_clocks clock_init(void)
{
    GCR_CLK_CTRL |= CLK_CTRL_120_MHZ_ON;
    (void)wait_for(GCR + 0x08u, CLK_CTRL_120_MHZ_READY, LOOKS);
    GCR_CLK_CTRL = (GCR_CLK_CTRL & ~CLK_CTRL_SELECT) | CLK_CTRL_120_MHZ;
    bool fast = wait_for(GCR + 0x08u, CLK_CTRL_IN_USE, LOOKS);
    if (!fast) {
        GCR_CLK_CTRL &= ~CLK_CTRL_SELECT;
    }
    ICC_INVALIDATE = 1;
    (void)wait_for(ICC + 0x100u, ICC_READY, LOOKS);
    ICC_CONTROL |= ICC_ENABLE;
    GCR_PCLK_DIS0 &= ~(PCLK_DIS0_GPIO2 | PCLK_DIS0_UART0);
    (void)GCR_PCLK_DIS0;
    GPIO2_AF_SEL_CLR = UART_PINS;
    GPIO2_EN_CLR = UART_PINS;
    __asm volatile("cpsie i" ::: "memory"); /* the boot ROM leaves interrupts off */
    return fast ? (board_clocks){BOARD_CLOCK_HZ, BOARD_CLOCK_HZ / 2} : (board_clocks){RESET_HZ, RESET_HZ / 2};
}

/* A bit has 8 clocks of the divider, whose fraction is in 128ths; the chip adds or takes three of these (its vendor's
 * driver, ME10-650). */
void uart_init(uint32_t uart_hz)
{
    uint32_t divider = (uint32_t)(((uint64_t)uart_hz * 128 / 8 + BOARD_BAUD / 2) / BOARD_BAUD),
             fraction = divider % 128;
    UART_CTRL = CTRL_FLUSH;
    UART_THRESHOLDS = THRESHOLD_1_BYTE;
    UART_BAUD0 = divider / 128 | BAUD0_8_A_BIT;
    UART_BAUD1 = fraction > 3 ? fraction - 3 : fraction + 3;
    UART_INT_FL = 0xFFFFFFFFu;
    UART_INT_EN = INT_RECEIVED | INT_OVERRUN;
    UART_CTRL = CTRL_8_BITS | CTRL_ENABLE;
}

void uart_handler(void)
{
    UART_INT_FL = INT_RECEIVED;
    while (!(UART_STATUS & STATUS_RX_EMPTY)) {
        if (!receive_has_room()) {
            return;
        }
        receive_keep((uint8_t)UART_FIFO);
    }
    if ((UART_INT_FL & INT_OVERRUN) && receive_has_room()) {
        UART_INT_FL = INT_OVERRUN;
        receive_lost();
    }
}

void uart_put(uint8_t byte)
{
    while (UART_STATUS & STATUS_TX_FULL) {
    }
    UART_FIFO = byte;
}
