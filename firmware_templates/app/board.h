/* What a board gives the application. Everything else about a board stays in its folder. */
#ifndef THIMBLE_BOARD_H
#define THIMBLE_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef THIMBLE_STORE
#include "thimble_store.h"
#endif

/* The board's name, the rate of board_ticks() in Hz (set by board_init), and what counts them: dwt, systick or timer.
 */
extern const char board_name[];
extern uint32_t board_tick_hz;
const char *board_counter(void);

/* Starts the clock counter and the UART. Called once, before anything else here. */
void board_init(void);

/* Ticks since board_init; never goes back. */
uint64_t board_ticks(void);

/* The next received byte, or BOARD_LOST where bytes are missing because nobody read them in time. Sleeps until there is
 * one. The receive interrupt keeps bytes until they are read. */
#define BOARD_LOST (-1)
int board_read(void);

/* Whether none has come that was not read. */
bool board_is_idle(void);

/* Whether the byte BOARD_STOP has come since this was asked last. It is never read otherwise. */
#define BOARD_STOP 0x03
bool board_stop_requested(void);

/* Hooks, which do nothing unless the application has functions of these names. board_watchdog: called at each look for
 * received bytes while there are none, and with each token, so that a watchdog that is fed here barks when neither
 * happens. board_fault: called once a fault was told, with interrupts off; it may call board_reset. */
void board_watchdog(void);
void board_fault(void);

/* The ticks of the longest step, for a watchdog's time: the application measures it when it starts, on the last
 * position of the context. A prompt, during which board_watchdog is not called, takes no longer than as many steps as
 * it has tokens. 0: there is no model. */
extern uint64_t board_ticks_of_step;

/* Starts anew, as after power was switched on; a function of this name of the application's takes its place. */
__attribute__((noreturn)) void board_reset(void);

/* Sends bytes, waiting while the UART is busy; usable with interrupts off. */
void board_write(const char *bytes, size_t count);

/* Bytes of stack, and the most that were ever in use. */
size_t board_stack_size(void);
size_t board_stack_peak(void);

/* The first word at the stack's ends, which nothing uses, that is not as start-up wrote it; NULL where all are. */
const void *board_stack_overwritten(void);

/* Tells of memory that was written over as of a fault, "FAULT <kind> ... address=", and ends as one does. */
__attribute__((noreturn)) void board_fault_memory(const char *kind, const void *address);

#ifdef THIMBLE_STORE
/* Flash for what outlives a loss of power, at the end of the image's. */
extern const thimble_flash board_flash;
#endif

#endif
