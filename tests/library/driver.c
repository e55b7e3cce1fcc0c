/* Two models in one program: reads lines "session command text", and answers each with one. Sessions 0 and 1 are of the
 * model with intents, 2 and 3 of the one that writes text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "thimble_names.h"
#include "tiny_intents.h"
#include "tiny_text.h"

enum { TEXT = 200, SESSIONS = 4, ANSWER = 400 };

static _Alignas(8) unsigned char intents_memory[2][THIMBLE_TINY_INTENTS_SESSION_BYTES(TEXT)];
static _Alignas(8) unsigned char text_memory[2][THIMBLE_TINY_TEXT_SESSION_BYTES(TEXT)];
static thimble_session sessions[SESSIONS];
static uint32_t yields;
static thimble_names names;
static _Alignas(8) unsigned char names_memory[500];

#ifdef THIMBLE_YIELD
void thimble_yield(void)
{
    yields++;
}
#endif

static void print(const char *status, const char *text, size_t length)
{
    printf("%s ", status);
    for (size_t i = 0; i < length; i++) {
        printf("%02x", (unsigned char)text[i]);
    }
}

/* Steps until the answer ends, or `steps` of them; the text of all. */
static thimble_status go(thimble_session *session, long steps)
{
    char text[ANSWER];
    size_t length = 0;
    long made = 0;
    thimble_status status = THIMBLE_MORE;
    while (status == THIMBLE_MORE && made < steps) {
        thimble_view piece;
        status = thimble_session_step(session, &piece);
        memcpy(text + length, piece.start ? piece.start : "", piece.length);
        length += piece.length;
        made++;
    }
    print(thimble_status_name(status), text, length);
    printf(" %ld", made);
    return status;
}

static void print_result(thimble_session *session)
{
    thimble_result result;
    thimble_session_result(session, &result);
    printf(" %u %s %u", result.intent, thimble_reason_name(result.reason), result.confidence);
    for (size_t i = 0; i < result.slot_count; i++) {
        printf(" %u:%u:%u", result.slots[i].slot, result.slots[i].type, result.slots[i].entry);
    }
}

int main(void)
{
    static char line[4000];
    thimble_names_init(&names, names_memory, sizeof names_memory);
    for (int i = 0; i < SESSIONS; i++) {
        const thimble_model *const model = i < 2 ? &thimble_the_tiny_intents : &thimble_the_tiny_text;
        unsigned char *const memory = i < 2 ? intents_memory[i] : text_memory[i - 2];
        const size_t bytes = i < 2 ? sizeof intents_memory[i] : sizeof text_memory[i - 2];
        thimble_session *const session = &sessions[i];
        if (thimble_session_bytes(model, TEXT) != bytes || !thimble_is_intact(model) ||
            thimble_session_init(session, model, NULL, bytes) != THIMBLE_BAD_MEMORY ||
            thimble_session_init(session, model, memory + 4, bytes) != THIMBLE_BAD_MEMORY ||
            thimble_session_init(session, model, memory, thimble_session_bytes(model, 0)) != THIMBLE_BAD_MEMORY ||
            thimble_session_init(session, model, memory, bytes) != THIMBLE_OK ||
            thimble_session_step(session, NULL) != THIMBLE_NO_TOKENS) {
            return 1;
        }
    }
    while (fgets(line, sizeof line, stdin)) {
        thimble_session *const session = &sessions[line[0] - '0'];
        char *const argument = strchr(line + 2, ' ') + 1;
        const size_t length = strcspn(argument, "\n");
        switch (line[2]) {
        case 'a': { /* ask capacity text */
            const size_t capacity = (size_t)atoi(argument);
            char *const text = strchr(argument, ' ') + 1;
            char *const own = malloc(capacity);
            const thimble_status status = thimble_session_ask(session, text, strcspn(text, "\n"), own, capacity);
            print(thimble_status_name(status), own, strlen(own));
            free(own);
            break;
        }
        case 'b': { /* begin text: in memory that is gone afterwards */
            char *const own = malloc(length ? length : 1);
            memcpy(own, argument, length);
            printf("%s", thimble_status_name(thimble_session_begin(session, own, length)));
            free(own);
            break;
        }
        case 'n': { /* a name for a light: value, and what people say */
            char *const value = argument, *const said = strchr(argument, ' ') + 1;
            const thimble_text *const texts = session->context.model->text;
            static thimble_words work;
            const int32_t kind = thimble_kind_of(texts->answers, (const uint8_t *)"light", 5);
            const thimble_name_status status =
                thimble_names_add(&names, texts->annotator, (uint8_t)kind, (const uint8_t *)value,
                                  (size_t)(said - 1 - value), (const uint8_t *)said, strcspn(said, "\n"), &work);
            thimble_session_use_vocabulary(session, &names.vocabulary);
            printf("%d", (int)status);
            break;
        }
        case 's': go(session, atol(argument)); break;
        case 'r': print_result(session); break;
        case 'c': thimble_session_cancel(session); break;
        case 'm': session->max_new = (uint32_t)atol(argument); break;
        case 'y': printf("%u", yields); break;
        case 'd': {
            thimble_sampling s;
            if (sscanf(argument, "%u %u %u %u %u", &s.temperature, &s.top_k, &s.top_p, &s.penalty, &s.seed) != 5) {
                return 2;
            }
            printf("%s", thimble_status_name(thimble_session_sample(session, &s)));
            break;
        }
        default: return 3;
        }
        printf("\n");
        fflush(stdout);
    }
    return 0;
}
