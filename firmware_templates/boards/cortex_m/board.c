/* What every board has: vectors, received bytes kept until they are read, and the order in which things start. */
#include "board.h"

#include "cortex_m.h"
#include "receive_ring.h"

const char board_name[] = BOARD_NAME;
uint32_t board_tick_hz;

static receive_ring received;

/* Whether the receiving interrupt is off because the ring is full. */
static volatile bool receive_stalled;

bool receive_has_room(void)
{
    if (receive_ring_has_room(&received)) {
        return true;
    }
    NVIC_ICER(BOARD_UART_RX_IRQ) = 1u << BOARD_UART_RX_IRQ % 32;
    receive_stalled = true;
    return false;
}

/* A UART that was left with a byte need not interrupt again by itself: its interrupt is made pending. */
static void resume_receiving(void)
{
    receive_stalled = false;
    NVIC_ISPR(BOARD_UART_RX_IRQ) = 1u << BOARD_UART_RX_IRQ % 32;
    NVIC_ISER(BOARD_UART_RX_IRQ) = 1u << BOARD_UART_RX_IRQ % 32;
}

__attribute__((weak)) void board_watchdog(void) {}

/* Lines that have come, or were read: a \n behind a \r ends no further one. */
typedef struct {
    uint32_t count;
    uint8_t last; /* byte */
} line_count;

static void count_line(line_count *lines, uint8_t byte)
{
    if (byte == '\r' || (byte == '\n' && lines->last != '\r')) {
        lines->count++;
    }
    lines->last = byte;
}

static line_count come, read_lines;
static volatile bool has_stop;
static volatile uint32_t stopped_line; /* by its number from 1 */

void receive_keep(uint8_t byte)
{
    if (byte == BOARD_STOP) {
        /* Of the line on its way, or of the last one: its request may be at work, or has ended. */
        stopped_line = come.count + (come.last != 0 && come.last != '\r' && come.last != '\n');
        has_stop = true;
    } else {
        count_line(&come, byte);
        receive_ring_keep(&received, byte);
    }
}

void receive_lost(void)
{
    receive_ring_mark_lost(&received);
    come.last = RECEIVE_RING_LOST;
}

bool board_stop_requested(void)
{
    board_watchdog();
    if (!has_stop || stopped_line != read_lines.count) {
        return false; /* one that comes now is for the next look */
    }
    has_stop = false;
    return true;
}

extern const vector vectors[];
#ifdef BOARD_UART_ERROR_IRQ
_Static_assert(BOARD_UART_ERROR_IRQ < BOARD_UART_RX_IRQ, "the vectors end with that of received bytes");
#endif
__attribute__((section(".vectors"), used)) const vector vectors[16 + BOARD_UART_RX_IRQ + 1] = {
    [0] = (vector)(uintptr_t)stack_top,
    [1] = reset_handler,
    [2] = fault_handler,  /* NMI */
    [3] = fault_handler,  /* hard */
    [4] = fault_handler,  /* memory */
    [5] = fault_handler,  /* bus */
    [6] = fault_handler,  /* usage */
    [7] = fault_handler,  /* secure */
    [11] = fault_handler, /* SVCall */
    [12] = fault_handler, /* debug monitor */
    [14] = fault_handler, /* PendSV */
    [15] = systick_handler,
#ifdef BOARD_UART_ERROR_IRQ
    [16 + BOARD_UART_ERROR_IRQ] = uart_handler,
#endif
    [16 + BOARD_UART_RX_IRQ] = uart_handler,
};

/* Low, like SysTick's: none of them interrupts another. */
static void enable(uint32_t irq)
{
    NVIC_IPR(irq) |= 0xE0u << irq % 4 * 8;
    NVIC_ISER(irq) = 1u << irq % 32;
}

void board_init(void)
{
    board_clocks clocks = clock_init();
    uart_init(clocks.uart_hz);
    enable(BOARD_UART_RX_IRQ);
#ifdef BOARD_UART_ERROR_IRQ
    enable(BOARD_UART_ERROR_IRQ);
#endif
    board_tick_hz = counter_init(clocks.core_hz);
}

/* With interrupts off a byte cannot come between the look and the sleep; one that is pending ends the sleep all the
 * same, and is taken at the barrier. */
int board_read(void)
{
    const uint32_t before = interrupts_off();
    while (receive_ring_is_empty(&received)) {
        board_watchdog();
        __asm volatile("wfi\n cpsie i\n isb\n cpsid i" ::: "memory");
    }
    interrupts_as_before(before);
    uint8_t byte = receive_ring_take(&received);
    count_line(&read_lines, byte);
    if (receive_stalled) {
        resume_receiving();
    }
    return byte == RECEIVE_RING_LOST ? BOARD_LOST : byte;
}

bool board_is_idle(void)
{
    return receive_ring_is_empty(&received);
}

void board_write(const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uart_put((uint8_t)bytes[i]);
    }
}
