#include "thimble_understand.h"

enum { CHUNK = 8 }; /* ids that are widened at once; a multiple of the tokens that models take at once */

/* Where names are found; NULL: nowhere. */
static thimble_annotation *work_of(const thimble_understanding *u)
{
    const size_t unit = sizeof(void *), beyond = (uintptr_t)u->context->cache % unit;
    const size_t skipped = beyond ? unit - beyond : 0;
    if (u->work || (size_t)u->context->model->cache_bytes < skipped + sizeof *u->work) {
        return u->work;
    }
    return (thimble_annotation *)(void *)(u->context->cache + skipped);
}

int32_t thimble_understand_begin(thimble_understanding *u, const uint8_t *text, size_t length)
{
    thimble_annotation *const work = work_of(u);
    int32_t count = 0, marks = thimble_normalize(u->annotator->normalizer, text, length, &u->words);
    u->text = text;
    u->answer.confidence = THIMBLE_CERTAIN;
    u->answer.intent = 0;
    u->count = u->fed = 0;
    u->is_second = false;
    u->reason = marks == THIMBLE_TEXT_NOT_UTF8 ? THIMBLE_NOT_UTF8 : THIMBLE_TOO_MANY_WORDS;
    if (marks >= 0 && !work) {
        u->reason = THIMBLE_NO_MODEL;
        marks = THIMBLE_TEXT_TOO_LONG;
    }
    if (marks >= 0) {
        marks = thimble_annotate(u->annotator, text, &u->words, u->marks, u->values, work);
    }
    if (marks == THIMBLE_TEXT_HAS_TOO_MANY_MARKS) {
        u->reason = THIMBLE_TOO_MANY_NAMES;
    }
    if (marks >= 0) {
        count = thimble_answer_prompt(&u->answer, u->answers, u->tokenizer, text, &u->words, u->marks, (size_t)marks,
                                      u->ids, u->capacity, &u->reason);
    }
    if (count > u->context->model->context) {
        u->reason = THIMBLE_TOO_LONG;
        count = 0;
    }
    u->prompt = (uint32_t)count;
    u->is_done = count == 0;
    return count;
}

/* Gives the model the next ids, at most `most`. */
static thimble_status take(thimble_understanding *u, uint32_t most)
{
    const uint32_t end = u->prompt + u->count;
    int32_t tokens[CHUNK] = {0};
    uint32_t taken = 0;
    if (u->is_done) {
        return THIMBLE_NO_TOKENS;
    }
    if (u->fed == 0) {
        thimble_reset(u->context);
    }
    while (taken < most && u->fed + taken < end) {
        tokens[taken] = u->ids[u->fed + taken];
        taken++;
    }
    u->fed += taken;
    const bool is_last = u->fed == end;
    const thimble_wanted wanted = is_last ? THIMBLE_LOGITS_LATER : THIMBLE_NO_LOGITS;
    const thimble_status status = thimble_take(u->context, tokens, taken, wanted, &u->logits);
    if (status != THIMBLE_OK) {
        u->reason = THIMBLE_NO_MODEL;
        u->is_done = true;
    } else if (is_last) {
        thimble_answer_compute(&u->answer, u->context);
    } else {
        return THIMBLE_MORE;
    }
    return status;
}

thimble_status thimble_understand_take(thimble_understanding *u)
{
    const uint32_t block = (uint32_t)u->context->model->block;
    return take(u, block < CHUNK ? block : CHUNK);
}

bool thimble_understand_feed(thimble_understanding *u)
{
    thimble_status status = THIMBLE_MORE;
    while (status == THIMBLE_MORE) {
        status = take(u, CHUNK);
    }
    return status == THIMBLE_OK;
}

/* Whether an answer goes no further, behind the id at hand: `reason` says why where it is not whole. */
static bool ends(thimble_understanding *u)
{
    if (thimble_answer_is_whole(&u->answer)) {
        return true;
    }
    const thimble_model *model = u->context->model;
    const uint32_t all = u->prompt + u->count;
    const bool is_full = model->window != model->context && all > (uint32_t)model->context;
    if (u->count != u->max_new && all != u->capacity && !is_full) {
        return false;
    }
    u->reason = u->count == u->max_new || !is_full ? THIMBLE_UNFINISHED : THIMBLE_TOO_LONG;
    return true;
}

void thimble_understand_add(thimble_understanding *u, int32_t id)
{
    for (;;) {
        u->ids[u->prompt + u->count++] = (uint16_t)id;
        u->is_done = ends(u);
        if (u->is_done) {
            return;
        }
        id = thimble_answer_forced(&u->answer);
        if (id < 0) {
            return;
        }
        thimble_answer_take(&u->answer, id);
    }
}

void thimble_understand_choose(thimble_understanding *u)
{
    thimble_understand_add(u, thimble_answer_choose(&u->answer, u->context->model, u->logits));
}

bool thimble_understand_again(thimble_understanding *u, thimble_slot *slots)
{
    return u->answers->asking && u->answers->asking->again(u, slots);
}

void thimble_understand_end(thimble_understanding *u, thimble_slot *slots, thimble_result *result)
{
    size_t count = 0;
    if (u->is_second) {
        u->answers->asking->end(u, slots, result);
        return;
    }
    if (u->reason == THIMBLE_NO_REASON && thimble_answer_is_whole(&u->answer)) {
        count = thimble_answer_slots(&u->answer, u->ids + u->prompt, u->count, slots);
        u->reason = thimble_answer_reason(&u->answer, slots, count);
    } else if (u->reason == THIMBLE_NO_REASON) {
        u->reason = THIMBLE_UNFINISHED;
    }
    const bool holds = u->reason == THIMBLE_NO_REASON || u->reason == THIMBLE_MODEL_REASON;
    *result = (thimble_result){.intent = holds ? u->answer.intent : 0,
                               .reason = u->reason,
                               .context = holds ? thimble_answer_context(&u->answer) : 0,
                               .confidence = u->answer.confidence,
                               .slot_count = holds ? count : 0,
                               .slots = slots};
}

bool thimble_understand(thimble_understanding *u, const char *text, thimble_slot *slots, thimble_result *result)
{
    size_t length = 0;
    while (text[length]) {
        length++;
    }
    (void)thimble_understand_begin(u, (const uint8_t *)text, length);
    do {
        while (thimble_understand_feed(u)) {
            thimble_understand_choose(u);
        }
    } while (thimble_understand_again(u, slots));
    thimble_understand_end(u, slots, result);
    return result->intent != 0;
}
