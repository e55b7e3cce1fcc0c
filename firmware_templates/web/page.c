/* The device's model, tokenizer, text path, sampler and answers for a page in a browser: what
 * pipeline/playground/engine.js calls.
 *
 * As app/main.c it reads a text, takes the prompt and chooses tokens; here each step is a call of its own, and what
 * lies between the steps can be looked at. Texts come and go in `text` and `out`. */
#include "thimble_answer.h"
#include "thimble_crc32.h"
#include "model.h"
#include "page.h"
#include "thimble_sampler.h"
#include "string.h"
#include "thimble_tokenizer.h"
#include "tokenizer_tables.h"
#ifdef THIMBLE_ANSWERS
#include "answer_tables.h"
#include "thimble_names.h"
#include "normalizer_tables.h"
#include "vocabulary_tables.h"
#endif
#ifdef THIMBLE_GRAMMAR
#include "grammar_tables.h"
#endif

/* As a line of the serial protocol. */
enum { TEXT_CAPACITY = 1024, IDS = TEXT_CAPACITY + 4, OUT_CAPACITY = TEXT_CAPACITY };

/* What `page_read` says instead of a count: `page_reason` has more of the first. */
enum { REFUSED = 0, NOT_UTF8 = -1 };

static _Alignas(16) uint8_t memory[THIMBLE_MODEL_MEMORY_BYTES];
static thimble_context context;
static thimble_sampler sampler;
static uint8_t sampler_marks[(THIMBLE_MODEL_VOCAB + 7) / 8];
static const void *logits;
static uint8_t text[TEXT_CAPACITY], out[OUT_CAPACITY];
static size_t out_length;
static uint16_t ids[IDS];
static thimble_reason reason;

EXPORT(vocab) int32_t page_vocab(void)
{
    return THIMBLE_MODEL_VOCAB;
}
EXPORT(context) int32_t page_context(void)
{
    return THIMBLE_MODEL_CONTEXT;
}
EXPORT(endless) int32_t page_endless(void)
{
    return THIMBLE_MODEL_ENDLESS;
}
EXPORT(logit_bytes) int32_t page_logit_bytes(void)
{
    return THIMBLE_MODEL_LOGIT_BYTES;
}
EXPORT(text) uint8_t *page_text(void)
{
    return text;
}
EXPORT(text_capacity) int32_t page_text_capacity(void)
{
    return TEXT_CAPACITY;
}
EXPORT(ids) const uint16_t *page_ids(void)
{
    return ids;
}
EXPORT(out) const uint8_t *page_out(void)
{
    return out;
}
EXPORT(logits) const void *page_logits(void)
{
    return logits;
}
EXPORT(bos) int32_t page_bos(void)
{
    return thimble_model_tokenizer.bos;
}

/* Forgets all tokens. */
EXPORT(reset) int32_t page_reset(void)
{
    thimble_sampler_reset(&sampler);
    return (int32_t)thimble_init(&context, &thimble_the_model, memory, sizeof memory);
}

/* The model takes a token; a thimble_status. */
EXPORT(step) int32_t page_step(int32_t token)
{
    thimble_sampler_take(&sampler, token);
    return (int32_t)thimble_step(&context, token, &logits);
}

/* Of the last step's logits, as the board says it. */
EXPORT(crc) uint32_t page_crc(void)
{
    return thimble_crc32(0, logits, THIMBLE_MODEL_VOCAB * THIMBLE_MODEL_LOGIT_BYTES);
}

static int32_t logit_at(int32_t id)
{
    return THIMBLE_MODEL_LOGIT_BYTES == 2 ? ((const int16_t *)logits)[id] : ((const int8_t *)logits)[id];
}

static int32_t next_allowed(int32_t after);

/* The softmax, of the last step's logits that may follow, at one of them, in 1/65536: a factor of the confidence. */
EXPORT(probability) uint32_t page_probability(int32_t id)
{
    int32_t best = INT32_MIN;
    uint32_t sum = 0, weight = 0;
    for (int32_t i = next_allowed(-1); i >= 0; i = next_allowed(i)) {
        best = logit_at(i) > best ? logit_at(i) : best;
    }
    for (int32_t i = next_allowed(-1); i >= 0; i = next_allowed(i)) {
        const uint64_t below = (uint64_t)(uint32_t)(best - logit_at(i));
        const uint32_t power = thimble_power((below * (uint32_t)thimble_the_model.logit_step + 128) >> 8);
        sum += power;
        weight = i == id ? power : weight;
    }
    return sum == 0 ? 0 : (uint32_t)((((uint64_t)weight << 16) + sum / 2) / sum);
}

EXPORT(stops) int32_t page_stops(int32_t id)
{
    return thimble_stops(&thimble_model_tokenizer, id);
}

EXPORT(sample) void page_sample(uint32_t temperature, uint32_t top_k, uint32_t top_p, uint32_t penalty, uint32_t seed)
{
    sampler.temperature = temperature;
    sampler.top_k = top_k;
    sampler.top_p = top_p;
    sampler.penalty = penalty;
    thimble_sampler_seed(&sampler, seed);
}

static void say(const uint8_t *bytes, size_t count)
{
    const size_t room = OUT_CAPACITY - out_length, taken = count < room ? count : room;
    memcpy(out + out_length, bytes, taken);
    out_length += taken;
}

/* Puts the bytes of an id, which follows another, into `out`; their number. */
EXPORT(piece) int32_t page_piece(int32_t before, int32_t id)
{
    size_t length;
    const uint8_t *bytes = thimble_piece(&thimble_model_tokenizer, before, id, &length);
    out_length = 0;
    say(bytes, length);
    return (int32_t)out_length;
}

/* Why nothing is done, in one word; its length. */
EXPORT(reason) int32_t page_reason(void)
{
    const char *name = thimble_reason_name(reason);
    out_length = 0;
    for (; *name; name++) {
        say((const uint8_t *)name, 1);
    }
    return (int32_t)out_length;
}

#ifdef THIMBLE_ANSWERS

static void say_to(void *to, const uint8_t *bytes, size_t count)
{
    (void)to;
    say(bytes, count);
}

enum { NAMES_BYTES = 1 << 18 };

static thimble_words words, work_words;
static thimble_mark marks[THIMBLE_MAX_MARKS];
static uint8_t values[THIMBLE_MAX_VALUES_BYTES];
static thimble_annotation work;
static thimble_annotator annotator;
static thimble_answer answer;
static thimble_slot slots[MODEL_ANSWER_SLOTS];
static int32_t mark_count, slot_count;
static thimble_names names;
static _Alignas(4) uint8_t names_memory[NAMES_BYTES];

EXPORT(start) int32_t page_start(void)
{
    thimble_sampler_init(&sampler, sampler_marks);
    thimble_names_init(&names, names_memory, sizeof names_memory);
    annotator = thimble_model_annotator;
    return page_reset();
}

/* Makes the prompt of the first `length` bytes of `text`: the number of its ids, REFUSED or NOT_UTF8. */
EXPORT(read) int32_t page_read(int32_t length)
{
    int32_t count = 0;
    reason = THIMBLE_TOO_MANY_WORDS;
    answer.confidence = THIMBLE_CERTAIN;
    slot_count = 0;
    mark_count = thimble_normalize(&thimble_model_normalizer, text, (size_t)length, &words);
    if (mark_count == THIMBLE_TEXT_NOT_UTF8) {
        mark_count = 0;
        return NOT_UTF8;
    }
    if (mark_count >= 0) {
        mark_count = thimble_annotate(&annotator, text, &words, marks, values, &work);
    }
    if (mark_count == THIMBLE_TEXT_HAS_TOO_MANY_MARKS) {
        reason = THIMBLE_TOO_MANY_NAMES;
    }
    if (mark_count < 0) {
        mark_count = 0;
        return REFUSED;
    }
    count = thimble_answer_prompt(&answer, &thimble_model_answers, &thimble_model_tokenizer, text, &words, marks,
                                  (size_t)mark_count, ids, IDS, &reason);
    if (count > THIMBLE_MODEL_CONTEXT) {
        reason = THIMBLE_TOO_LONG;
    }
    return reason == THIMBLE_NO_REASON ? count : REFUSED;
}

EXPORT(mark_count) int32_t page_mark_count(void)
{
    return mark_count;
}
EXPORT(mark_kind) int32_t page_mark_kind(int32_t mark)
{
    return marks[mark].kind;
}
/* Where a mark begins and ends among the bytes of `text`. */
EXPORT(mark_from) int32_t page_mark_from(int32_t mark)
{
    return words.from[marks[mark].first];
}
EXPORT(mark_to) int32_t page_mark_to(int32_t mark)
{
    return words.to[marks[mark].end - 1];
}

/* Puts what a mark stands for into `out`; its length. */
EXPORT(mark_value) int32_t page_mark_value(int32_t mark)
{
    out_length = 0;
    say(marks[mark].value, marks[mark].value_length);
    return (int32_t)out_length;
}

/* The lowest id above `after` that may follow, or -1; with -1 the lowest of all. */
EXPORT(allowed) int32_t page_allowed(int32_t after)
{
    return thimble_answer_allowed(&answer, after);
}
static int32_t next_allowed(int32_t after)
{
    return page_allowed(after);
}
EXPORT(confidence) uint32_t page_confidence(void)
{
    return answer.confidence;
}
EXPORT(threshold) uint32_t page_threshold(void)
{
    return thimble_model_answers.threshold;
}

/* The most likely of the ids that may follow; it becomes part of the answer. */
EXPORT(choose) int32_t page_choose(void)
{
    return thimble_answer_choose(&answer, &thimble_the_model, logits);
}

/* Expands an answer of ids in `ids`, and puts what it says into `out`; its length. `is_full`: the context ended it. */
EXPORT(finish) int32_t page_finish(int32_t count, int32_t is_full)
{
    if (thimble_answer_is_whole(&answer)) {
        slot_count = (int32_t)thimble_answer_slots(&answer, ids, (size_t)count, slots);
        reason = thimble_answer_reason(&answer, slots, (size_t)slot_count);
    } else {
        slot_count = 0;
        reason = is_full ? THIMBLE_TOO_LONG : THIMBLE_UNFINISHED;
    }
    const bool holds = reason == THIMBLE_NO_REASON || reason == THIMBLE_MODEL_REASON;
    slot_count = holds ? slot_count : 0;
    out_length = 0;
    thimble_answer_say(&thimble_model_answers, holds ? answer.intent : 0, slots, (size_t)slot_count, say_to, NULL);
    return (int32_t)out_length;
}

/* The place for an answer's ids, which `finish` reads; that of the prompt's, which are done with. */
EXPORT(put_id) void page_put_id(int32_t index, int32_t id)
{
    ids[index] = (uint16_t)id;
}

/* Whether the model says itself why nothing is done, in its first slot. */
EXPORT(is_model_reason) int32_t page_is_model_reason(void)
{
    return reason == THIMBLE_MODEL_REASON;
}

/* Puts the intent's name into `out`, the NoMatch of refusals among them; its length. */
EXPORT(intent) int32_t page_intent(void)
{
    const bool holds = reason == THIMBLE_NO_REASON || reason == THIMBLE_MODEL_REASON;
    out_length = 0;
    thimble_answer_say(&thimble_model_answers, holds ? answer.intent : 0, NULL, 0, say_to, NULL);
    return (int32_t)out_length;
}

EXPORT(slot_count) int32_t page_slot_count(void)
{
    return slot_count;
}

/* Puts a slot, "name=value", into `out`; its length. */
EXPORT(slot) int32_t page_slot(int32_t slot)
{
    size_t intent_length;
    (void)thimble_intent_name(&thimble_model_answers, 0, &intent_length);
    out_length = 0;
    thimble_answer_say(&thimble_model_answers, 0, slots + slot, 1, say_to, NULL);
    const size_t before = intent_length + 1; /* the intent and a space */
    memmove(out, out + before, out_length - before);
    out_length -= before;
    return (int32_t)out_length;
}

/* No names at all, not those that came with the model either, until some are added. */
EXPORT(clear_names) void page_clear_names(void)
{
    thimble_names_clear(&names);
    thimble_use_vocabulary(&annotator, &names.vocabulary);
    for (size_t layer = 1; layer < THIMBLE_LAYERS; layer++) {
        annotator.layers[layer] = NULL;
    }
}

/* The names that came with the model. */
EXPORT(restore_names) void page_restore_names(void)
{
    annotator = thimble_model_annotator;
}

/* Adds a name, `text` having its value and behind it what people say; a thimble_name_status. */
EXPORT(add_name) int32_t page_add_name(int32_t kind, int32_t value_length, int32_t length)
{
    return (int32_t)thimble_names_add(&names, &thimble_model_annotator, (uint8_t)kind, text, (size_t)value_length,
                                      text + value_length, (size_t)length, &work_words);
}

#else

#ifdef THIMBLE_GRAMMAR

static thimble_grammar_walk walk;

/* The lowest id above `after` that may follow, or -1; with -1 the lowest of all. */
EXPORT(allowed) int32_t page_allowed(int32_t after)
{
    for (int32_t id = after + 1; id < THIMBLE_MODEL_VOCAB; id++) {
        if (thimble_grammar_allows(&walk, id)) {
            return id;
        }
    }
    return -1;
}
static int32_t next_allowed(int32_t after)
{
    return page_allowed(after);
}

/* An id that may follow becomes part of the answer. */
EXPORT(take) void page_take(int32_t id)
{
    thimble_grammar_take(&walk, id);
}

static void begin_answer(int32_t before)
{
    thimble_grammar_begin(&walk, &thimble_model_grammar, &thimble_model_tokenizer, before);
    sampler.allows = thimble_grammar_allows;
    sampler.allowing = &walk;
}

#else

static int32_t next_allowed(int32_t after)
{
    return after + 1 < THIMBLE_MODEL_VOCAB ? after + 1 : -1;
}

static void begin_answer(int32_t before)
{
    (void)before;
}

#endif

EXPORT(start) int32_t page_start(void)
{
    thimble_sampler_init(&sampler, sampler_marks);
    return page_reset();
}

EXPORT(read) int32_t page_read(int32_t length)
{
    const int32_t count = thimble_encode_prompt(&thimble_model_tokenizer, text, (size_t)length, ids, IDS);
    reason = count > THIMBLE_MODEL_CONTEXT ? THIMBLE_TOO_LONG : THIMBLE_NO_REASON;
    if (count < 0) {
        return NOT_UTF8;
    }
    if (reason != THIMBLE_NO_REASON) {
        return REFUSED;
    }
    begin_answer(ids[count - 1]);
    return count;
}

/* The next token, as the sampler was told to draw it. */
EXPORT(choose) int32_t page_choose(void)
{
    return thimble_sampler_draw(&sampler, &thimble_the_model, logits);
}

#endif
