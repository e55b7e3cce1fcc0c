#include "thimble_intents.h"

#include <string.h>

static size_t bytes_of(const thimble_model *model, size_t text_bytes)
{
    return THIMBLE_INTENTS_BYTES(0u, (size_t)model->cache_bytes, (size_t)model->context, (size_t)model->text->slots,
                                 text_bytes);
}

static bool place(thimble_session *session, uint8_t *memory, size_t bytes)
{
    const thimble_model *const model = session->context.model;
    const thimble_text *const texts = model->text;
    const size_t used = bytes_of(model, 0), work = THIMBLE_WORK_BYTES((size_t)model->cache_bytes);
    const size_t ids = (size_t)model->context + 1u + THIMBLE_SPARE_IDS;
    if (bytes <= used) {
        return false;
    }
    thimble_intents_memory *const own = (thimble_intents_memory *)(void *)memory;
    memset(own, 0, sizeof *own);
    memory += THIMBLE_ROUNDED(sizeof *own);
    own->slots = (thimble_slot *)(void *)memory;
    memory += THIMBLE_ROUNDED((size_t)texts->slots * sizeof *own->slots);
    own->annotator = *texts->annotator;
    own->understanding.context = &session->context;
    own->understanding.answers = texts->answers;
    own->understanding.tokenizer = texts->tokenizer;
    own->understanding.annotator = &own->annotator;
    own->understanding.ids = (uint16_t *)(void *)memory;
    own->understanding.capacity = (uint16_t)ids;
    memory += THIMBLE_ROUNDED(2u * ids);
    own->understanding.work = work ? (thimble_annotation *)(void *)memory : NULL;
    own->text = memory + work;
    own->is_over = true;
    session->answering = own;
    session->text_capacity = bytes - used < UINT16_MAX ? bytes - used : UINT16_MAX;
    return true;
}

static thimble_status begin(thimble_session *session, const char *text, size_t length)
{
    thimble_intents_memory *const own = session->answering;
    if (length > session->text_capacity) {
        return THIMBLE_LONG_TEXT;
    }
    memcpy(own->text, text, length);
    own->understanding.max_new = session->max_new;
    own->is_over = false;
    (void)thimble_understand_begin(&own->understanding, own->text, length);
    return own->understanding.reason == THIMBLE_NOT_UTF8 ? THIMBLE_BAD_TEXT : THIMBLE_MORE;
}

static thimble_status step(thimble_session *session)
{
    thimble_intents_memory *const own = session->answering;
    thimble_understanding *const u = &own->understanding;
    if (!u->is_done) {
        const thimble_status status = thimble_understand_take(u);
        if (status != THIMBLE_OK) {
            return status;
        }
        thimble_understand_choose(u);
        session->made = u->count;
    }
    if (!u->is_done || thimble_understand_again(u, own->slots)) {
        return THIMBLE_MORE;
    }
    return u->is_second                      ? THIMBLE_END_OF_ANSWER
           : u->count == 0                   ? THIMBLE_END_OF_ANSWER /* the model was not asked */
           : u->reason == THIMBLE_TOO_LONG   ? THIMBLE_END_CONTEXT
           : u->reason == THIMBLE_UNFINISHED ? THIMBLE_END_LENGTH
                                             : THIMBLE_END_OF_ANSWER;
}

void thimble_session_result(thimble_session *session, thimble_result *result)
{
    thimble_intents_memory *const own = session->answering;
    if (!own->is_over) {
        thimble_understand_end(&own->understanding, own->slots, &own->result);
        own->is_over = true;
    }
    *result = own->result;
}

static void say_result(thimble_session *session, void (*say)(void *to, const uint8_t *bytes, size_t count), void *to)
{
    thimble_result result;
    thimble_session_result(session, &result);
    thimble_answer_say(session->context.model->text->answers, result.intent, result.slots, result.slot_count, say, to);
}

thimble_status thimble_session_understand(thimble_session *session, const char *text, size_t length,
                                          thimble_result *result)
{
    thimble_status status = thimble_session_begin(session, text, length);
    while (status == THIMBLE_MORE) {
        status = thimble_session_step(session, NULL);
    }
    thimble_session_result(session, result);
    return status;
}

void thimble_session_use_vocabulary(thimble_session *session, const thimble_vocabulary *names)
{
    thimble_intents_memory *const own = session->answering;
    thimble_use_vocabulary(&own->annotator, names);
}

const thimble_answering thimble_intents = {
    .bytes = bytes_of, .place = place, .begin = begin, .step = step, .say = say_result};
