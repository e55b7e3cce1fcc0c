/* What the pieces of a prompt cost: the whole at once, and by steps of a session. */
#include "device.h"
#include "tiny_text.h"

static _Alignas(8) unsigned char memory[THIMBLE_TINY_TEXT_SESSION_BYTES(100)];
static thimble_session session;

static const char text[] = "once upon a time in the kitchen";

void measure(void)
{
    int32_t tokens[THIMBLE_TINY_TEXT_CONTEXT];
    thimble_status status = thimble_session_init(&session, &thimble_the_tiny_text, memory, sizeof memory);
    if (status != THIMBLE_OK || thimble_session_begin(&session, text, sizeof text - 1) != THIMBLE_MORE) {
        end_with("init");
    }
    const uint32_t count = session.prompt;
    for (uint32_t i = 0; i < count; i++) {
        tokens[i] = session.ids[i];
    }
    count_start();
    uint32_t steps = 0;
    while (session.made == 0 && status != THIMBLE_FAILED) {
        status = thimble_session_step(&session, NULL);
        steps++;
    }
    print_row("steps", (int32_t)count, (int32_t)steps, count_ticks(), 1);
    const int32_t first = session.last;
    const void *logits;
    thimble_reset(&session.context);
    count_start();
    status = thimble_prefill(&session.context, tokens, count, &logits);
    const int32_t next = thimble_sample_greedy(&thimble_the_tiny_text, logits);
    print_row("whole", (int32_t)count, next == first, count_ticks(), 1);
}
