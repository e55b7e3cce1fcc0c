/* What calls of a session cost on the device: instructions, and bytes of stack. */
#include "device.h"
#include "tiny_intents.h"
#include "tiny_text.h"

static _Alignas(8) unsigned char intents_memory[THIMBLE_TINY_INTENTS_SESSION_BYTES(200)];
static _Alignas(8) unsigned char text_memory[THIMBLE_TINY_TEXT_SESSION_BYTES(200)];
static thimble_session intents, texts;
static thimble_result result;
static char answer[200];
static thimble_status status;

static const char sentence[] = "Desk lamp to 50%!", story[] = "once upon a time";

enum { PAINTED = 6000, GAP = 64, PAINT = 0x5A };

/* The stack pointer of the caller. */
__attribute__((always_inline)) static inline uintptr_t stack_pointer(void)
{
    uintptr_t at;
    __asm volatile("mov %0, sp" : "=r"(at));
    return at;
}

/* Paints the stack below an address that is in use. */
__attribute__((noinline)) static void paint(uintptr_t from)
{
    for (uintptr_t at = from - PAINTED; at < from - GAP; at++) {
        *(volatile unsigned char *)at = PAINT;
    }
}

/* Bytes below the address that were used since. */
__attribute__((noinline)) static int32_t used_below(uintptr_t from)
{
    uintptr_t at = from - PAINTED;
    while (at < from - GAP && *(volatile unsigned char *)at == PAINT) {
        at++;
    }
    return (int32_t)(from - at);
}

#ifdef THIMBLE_YIELD
static uint32_t longest, since;

/* Counts from hook to hook. */
void thimble_yield(void)
{
    const uint32_t now = count_ticks();
    longest = now - since > longest ? now - since : longest;
    since = now;
}
#endif

static void init(void)
{
    status = thimble_session_init(&intents, &thimble_the_tiny_intents, intents_memory, sizeof intents_memory);
    status |= thimble_session_init(&texts, &thimble_the_tiny_text, text_memory, sizeof text_memory);
}
static void begin_intents(void)
{
    status = thimble_session_begin(&intents, sentence, sizeof sentence - 1);
}
static void step_intents(void)
{
    status = thimble_session_step(&intents, NULL);
}
static void understand(void)
{
    status = thimble_session_understand(&intents, sentence, sizeof sentence - 1, &result);
}
static void begin_text(void)
{
    status = thimble_session_begin(&texts, story, sizeof story - 1);
}
static void step_text(void)
{
    status = thimble_session_step(&texts, NULL);
}
static void ask(void)
{
    status = thimble_session_ask(&texts, story, sizeof story - 1, answer, sizeof answer);
}

static void measured(const char *name, void (*call)(void))
{
    const uintptr_t at = stack_pointer();
    paint(at);
    count_start();
    call();
    const uint32_t ticks = count_ticks();
#ifdef THIMBLE_YIELD
    thimble_yield();
    print_row(name, 0, 0, longest, 1);
    longest = since = 0;
#endif
    print_row(name, used_below(at), status, ticks, 1);
}

void measure(void)
{
    measured("init", init);
    measured("begin_intents", begin_intents);
    measured("step_intents", step_intents);
    measured("understand", understand);
    measured("begin_text", begin_text);
    measured("step_text", step_text);
    measured("ask", ask);
}
