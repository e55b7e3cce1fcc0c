/* SCI0 of Renesas' RA6M5 (user's manual R01UH0891: interrupts 14, I/O ports 20, SCI 30), asynchronous, without its
 * FIFO, on P411 and P410. Its events become interrupts through the ICU, which keeps each until it is cleared. */
#include "cortex_m.h"

#define SCI_SMR REGISTER8(BOARD_UART_ADDRESS + 0x00u)
#define SCI_BRR REGISTER8(BOARD_UART_ADDRESS + 0x01u)
#define SCI_SCR REGISTER8(BOARD_UART_ADDRESS + 0x02u)
#define SCI_TDR REGISTER8(BOARD_UART_ADDRESS + 0x03u)
#define SCI_SSR REGISTER8(BOARD_UART_ADDRESS + 0x04u)
#define SCI_RDR REGISTER8(BOARD_UART_ADDRESS + 0x05u)
#define SCI_SEMR REGISTER8(BOARD_UART_ADDRESS + 0x07u)
#define SCI_MDDR REGISTER8(BOARD_UART_ADDRESS + 0x12u)
#define SMR_8N1 0u
#define SEMR_16_A_BIT_DIVIDED (1u << 6 | 1u << 2) /* BGDM: 16 clocks a bit; BRME: MDDR divides on */
#define SCR_RECEIVE_AND_SEND (1u << 4 | 1u << 5)
#define SCR_RECEIVE_INTERRUPTS (1u << 6)
#define SSR_PARITY_ERROR (1u << 3)
#define SSR_FRAMING_ERROR (1u << 4)
#define SSR_OVERRUN (1u << 5)
#define SSR_RECEIVED (1u << 6)
#define SSR_SENDABLE (1u << 7)
#define SSR_ERRORS (SSR_PARITY_ERROR | SSR_FRAMING_ERROR | SSR_OVERRUN)

#define MSTPCRB REGISTER(0x40084004u)
#define MSTPCRB_SCI0 (1u << 31)
#define ICU_IELSR(irq) REGISTER(0x40006300u + 4 * (irq))
#define IELSR_PENDING (1u << 16)
#define EVENT_SCI0_RXI 0x180u
#define EVENT_SCI0_ERI 0x183u
#define PFS(port, pin) REGISTER(0x40080800u + 0x40u * (port) + 4 * (pin))
#define PWPR REGISTER8(0x40080D03u)
#define PWPR_UNLOCKED 0u
#define PWPR_WRITABLE (1u << 6)
#define PWPR_LOCKED (1u << 7)
#define PFS_SCI_EVEN (4u << 24)
#define PFS_PERIPHERAL (1u << 16)

static void init_pins(void)
{
    PWPR = PWPR_UNLOCKED;
    PWPR = PWPR_WRITABLE;
    PFS(4, 10) = PFS_SCI_EVEN;
    PFS(4, 11) = PFS_SCI_EVEN;
    PFS(4, 10) = PFS_SCI_EVEN | PFS_PERIPHERAL;
    PFS(4, 11) = PFS_SCI_EVEN | PFS_PERIPHERAL;
    PWPR = PWPR_UNLOCKED;
    PWPR = PWPR_LOCKED;
}

/* A bit has 16 * (BRR + 1) * 256 / MDDR clocks; the greatest MDDR of 128 to 255 leaves the least error. */
void uart_init(uint32_t uart_hz)
{
    uint32_t divider = uart_hz / (16 * BOARD_BAUD);
    MSTPCRB &= ~MSTPCRB_SCI0;
    (void)MSTPCRB;
    SCI_SCR = 0;
    SCI_SMR = SMR_8N1;
    SCI_SEMR = SEMR_16_A_BIT_DIVIDED;
    SCI_BRR = (uint8_t)(divider - 1);
    SCI_MDDR = (uint8_t)((256 * 16ull * BOARD_BAUD * divider + uart_hz / 2) / uart_hz);
    init_pins();
    ICU_IELSR(BOARD_UART_RX_IRQ) = EVENT_SCI0_RXI;
    ICU_IELSR(BOARD_UART_ERROR_IRQ) = EVENT_SCI0_ERI;
    SCI_SCR = SCR_RECEIVE_AND_SEND;
    SCI_SCR = SCR_RECEIVE_AND_SEND | SCR_RECEIVE_INTERRUPTS;
}

static void clear(uint32_t irq)
{
    ICU_IELSR(irq) &= ~IELSR_PENDING;
    (void)ICU_IELSR(irq); /* it has reached the ICU before the handler ends */
}

/* An error stops reception until its flag is cleared, which takes a read of it first. */
void uart_handler(void)
{
    clear(BOARD_UART_RX_IRQ);
    clear(BOARD_UART_ERROR_IRQ);
    for (uint8_t status = SCI_SSR; status & (SSR_RECEIVED | SSR_ERRORS); status = SCI_SSR) {
        if (!receive_has_room()) {
            return;
        }
        if (status & SSR_RECEIVED) {
            receive_keep(SCI_RDR);
        }
        if (status & SSR_ERRORS) {
            SCI_SSR = (uint8_t)~SSR_ERRORS;
            if (status & SSR_OVERRUN) {
                receive_lost();
            }
        }
    }
}

void uart_put(uint8_t byte)
{
    while (!(SCI_SSR & SSR_SENDABLE)) {
    }
    SCI_TDR = byte;
}
