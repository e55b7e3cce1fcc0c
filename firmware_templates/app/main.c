/* The application: a request line in, answer lines out. docs/protocol.md describes every request and answer. */
#include "board.h"
#include "build.h"
#include "thimble_crc32.h"
#include "image.h"
#include "model.h"
#include "thimble_sampler.h"
#include "serial.h"
#include "thimble.h"
#ifdef THIMBLE_GRAMMAR
#include "grammar_tables.h"
#endif
#ifndef THIMBLE_TOKEN_IDS
#include "thimble_tokenizer.h"
#include "tokenizer_tables.h"
#endif
#ifdef THIMBLE_ANSWERS
#include "answer_tables.h"
#include "thimble_names.h"
#ifdef THIMBLE_STORE
#include "thimble_stored_names.h"
#endif
#include "thimble_understand.h"
#include "thimble_utf8.h"
#include "vocabulary_tables.h"
#endif

#define PROTOCOL_VERSION 1
#define STRING(number) STRING_OF(number)
#define STRING_OF(text) #text

/* The arena and the KV cache, with guard bytes before, between and behind them. */
enum {
    GUARD_BYTES = 16,
    ARENA_AT = GUARD_BYTES,
    BETWEEN_AT = ARENA_AT + THIMBLE_MODEL_ARENA_BYTES,
    CACHE_AT = BETWEEN_AT + GUARD_BYTES,
    BEHIND_AT = CACHE_AT + THIMBLE_MODEL_CACHE_BYTES
};
static _Alignas(16) uint8_t model_memory[BEHIND_AT + GUARD_BYTES] __attribute__((section(".model_memory")));
static thimble_context model;
#ifdef THIMBLE_SAMPLING
static thimble_sampler sampler;
static uint8_t sampler_marks[(THIMBLE_MODEL_VOCAB + 7) / 8];
#endif
#ifdef THIMBLE_GRAMMAR
static thimble_grammar_walk walk; /* of the answer at hand, */
static bool is_bound;             /* if that is bound to the grammar */
#endif
static uint32_t broken_parts; /* of the image, see image_check: where there is one, nothing is computed */
static image_check checked;   /* in idle time, on request, */
static bool is_checking;      /* and whether that goes on */
uint64_t board_ticks_of_step;
#ifdef THIMBLE_ANSWERS
/* The sentence at hand, and whether what the model generates is bound to be its answer. */
static thimble_understanding sentence;
static bool is_bound;

/* Where a sentence's names and quantities are found: in the KV cache, which the answer empties, unless that is too
 * small. */
enum { CACHE_HOLDS_WORK = THIMBLE_MODEL_CACHE_BYTES >= sizeof(thimble_annotation) + sizeof(void *) };
static _Alignas(thimble_annotation) uint8_t work_memory[CACHE_HOLDS_WORK ? 1 : sizeof(thimble_annotation)];
static thimble_annotator annotator;
#if THIMBLE_NAMES_BYTES
static thimble_names names;
static _Alignas(4) uint8_t names_memory[THIMBLE_NAMES_BYTES];
#endif
#endif

/* A request's token ids; a byte of text takes at most one id, and the tokenizer's frame comes around them. */
enum { IDS = LINE_CAPACITY + 4, MOST_NEW = THIMBLE_MODEL_ENDLESS ? 1000000 : THIMBLE_MODEL_CONTEXT };
/* Of a request: its ids, which the answer's take the place of; as tokens while the prompt is taken in blocks. */
static union {
    uint16_t ids[IDS];
    int32_t tokens[THIMBLE_MODEL_CONTEXT];
} prompt;

#ifdef THIMBLE_PROFILE
static uint64_t layer_ticks[THIMBLE_MODEL_LAYERS];
static uint32_t profiled_steps;
static uint64_t last_mark;
static uint32_t marked_layer = THIMBLE_MODEL_LAYERS;

/* Called by the model before each layer that it runs, and with the number of layers at the end. */
void thimble_profile_mark(uint32_t layer)
{
    uint64_t now = board_ticks();
    if (marked_layer < THIMBLE_MODEL_LAYERS) {
        layer_ticks[marked_layer] += now - last_mark;
    }
    marked_layer = layer;
    last_mark = now;
}
#endif

static const struct {
    const char *fault; /* what is told where it was written over */
    uint32_t at;
} guards[] = {{"arena-overwritten", 0}, {"arena-overwritten", BETWEEN_AT}, {"cache-overwritten", BEHIND_AT}};

static uint8_t guard_byte(uint32_t i)
{
    return (uint8_t)(0x5A + 77 * i);
}

static void set_guards(void)
{
    for (size_t guard = 0; guard < sizeof guards / sizeof *guards; guard++) {
        for (uint32_t i = 0; i < GUARD_BYTES; i++) {
            model_memory[guards[guard].at + i] = guard_byte(i);
        }
    }
}

/* Ends as by a fault where something wrote around the stack, the arena or the KV cache: what is computed from then on
 * may be anything. */
static void check_guards(void)
{
    const void *const written = board_stack_overwritten();
    if (written) {
        board_fault_memory("stack-overwritten", written);
    }
    for (size_t guard = 0; guard < sizeof guards / sizeof *guards; guard++) {
        const volatile uint8_t *const bytes = model_memory + guards[guard].at;
        for (uint32_t i = 0; i < GUARD_BYTES; i++) {
            if (bytes[i] != guard_byte(i)) {
                board_fault_memory(guards[guard].fault, (const void *)(uintptr_t)&bytes[i]);
            }
        }
    }
}

/* What the last step takes that fits the context: it sees the most tokens. */
static void measure_step(void)
{
    const void *logits;
    thimble_reset(&model);
    model.position = THIMBLE_MODEL_CONTEXT - 1;
    const uint64_t started = board_ticks();
    if (thimble_step(&model, 0, &logits) == THIMBLE_OK) {
        board_ticks_of_step = board_ticks() - started;
    }
    thimble_reset(&model);
#ifdef THIMBLE_PROFILE
    for (uint32_t i = 0; i < THIMBLE_MODEL_LAYERS; i++) {
        layer_ticks[i] = 0;
    }
#endif
}

/* Whether there is a model that runs in this memory. */
static bool start_model(void)
{
    if (thimble_init(&model, &thimble_the_model, model_memory + ARENA_AT, sizeof model_memory - 2 * GUARD_BYTES)) {
        return false;
    }
    model.cache = (int8_t *)model_memory + CACHE_AT; /* behind the guard, not at the arena's end */
    set_guards();
    measure_step();
    return true;
}

/* Says why there is no model to ask. */
static void put_init_error(void)
{
#ifdef THIMBLE_INTERPRETER
    if (*thimble_interpreter_log()) {
        put_text("ERR init ");
        put_text(thimble_interpreter_log());
        put_text("\n");
        return;
    }
#endif
    put_error("init the model refused its memory");
}

/* A request is answered, or comes back as an error, "code text". */
typedef const char *error;
#define ANSWERED NULL

/* Whether there is no model to ask, which is then said; only an interpreter's may be missing. */
static bool lacks_model(void)
{
#ifdef THIMBLE_INTERPRETER
    if (!model.model) {
        put_init_error();
        return true;
    }
#endif
    return false;
}

static void put_count(const char *name, uint64_t value)
{
    put_text(name);
    put_number(value);
}

static void put_next(uint64_t number)
{
    put_text(" ");
    put_number(number);
}

/* Tells the sampler of tokens that the model is given. */
static void note(int32_t token)
{
#ifdef THIMBLE_SAMPLING
    thimble_sampler_take(&sampler, token);
#else
    (void)token;
#endif
}

/* The next token: drawn, or bound to answer tokens or a grammar, where that is wanted, else the most likely one. */
static int32_t choose(const void *logits, bool draw)
{
#ifdef THIMBLE_GRAMMAR
    if (draw && is_bound) {
        int32_t next = -1;
#ifdef THIMBLE_SAMPLING
        if (sampler.temperature || sampler.penalty != 1000) {
            sampler.allows = thimble_grammar_allows;
            sampler.allowing = &walk;
            next = thimble_sampler_draw(&sampler, &thimble_the_model, logits);
            sampler.allows = NULL;
        }
#endif
        next = next < 0 ? thimble_grammar_choose(&walk, &thimble_the_model, logits) : next;
        thimble_grammar_take(&walk, next);
        return next;
    }
#endif
#ifdef THIMBLE_ANSWERS
    if (draw && is_bound) {
        return thimble_answer_choose(&sentence.answer, &thimble_the_model, logits);
    }
#endif
#ifdef THIMBLE_SAMPLING
    if (draw) {
        return thimble_sampler_draw(&sampler, &thimble_the_model, logits);
    }
#endif
    (void)draw;
    return thimble_sample_greedy(&thimble_the_model, logits);
}

/* Ends a line with " crc ticks next" of what was computed since `started`; the next token, drawn where that is wanted
 * and else the most likely one. */
static int32_t tell(const void *logits, uint64_t started, bool draw)
{
    uint64_t ticks = board_ticks() - started;
    int32_t next = choose(logits, draw);
    put_text(" ");
    put_hex32(thimble_crc32(0, logits, THIMBLE_MODEL_VOCAB * THIMBLE_MODEL_LOGIT_BYTES));
    put_next(ticks);
    put_next((uint32_t)next);
    put_text("\n");
    return next;
}

/* One decode step, told as "STEP position token crc ticks next"; the next token, or -1. */
static int32_t step(size_t position, int32_t token, bool draw)
{
    const void *logits;
    note(token);
    put_text("STEP");
    put_next(position);
    put_next((uint32_t)token);
#ifdef THIMBLE_PROFILE
    profiled_steps++;
#endif
    uint64_t started = board_ticks();
    return thimble_step(&model, token, &logits) == THIMBLE_OK ? tell(logits, started, draw) : -1;
}

/* The whole prompt in blocks, told as "PREFILL count crc ticks next"; the next token, or -1. */
static int32_t prefill(size_t count)
{
    const void *logits;
    for (size_t i = count; i-- > 0;) {
        prompt.tokens[i] = prompt.ids[i]; /* from the end, since they grow in place */
    }
    for (size_t i = 0; i < count; i++) {
        note(prompt.tokens[i]);
    }
    put_text("PREFILL");
    put_next(count);
    uint64_t started = board_ticks();
    return thimble_prefill(&model, prompt.tokens, count, &logits) == THIMBLE_OK ? tell(logits, started, true) : -1;
}

/* The prompt step by step; the next token, or -1. */
static int32_t feed(size_t count)
{
    int32_t next = -1;
    for (size_t position = 0; position < count; position++) {
        next = step(position, prompt.ids[position], position + 1 == count);
        if (next < 0) {
            break;
        }
    }
    return next;
}

#ifdef THIMBLE_ANSWERS
static void say(void *to, const uint8_t *bytes, size_t count)
{
    (void)to;
    put_percent(bytes, count);
}

/* "text confidence" of an answer in answer tokens. */
static void put_said(uint16_t intent, const thimble_slot *slots, size_t count, uint32_t confidence)
{
    thimble_answer_say(&thimble_model_answers, intent, slots, count, say, NULL);
    put_next(confidence);
}

/* What an answer in answer tokens says: "text confidence reason", and the same of each answer that may be meant. */
static void put_reply(const thimble_result *result)
{
    put_said(result->intent, result->slots, result->slot_count, result->confidence);
    put_text(" ");
    if (result->reason == THIMBLE_MODEL_REASON) {
        put_percent(result->slots[0].value, result->slots[0].value_length);
    } else {
        put_text(thimble_reason_name(result->reason));
    }
#ifdef MODEL_ASKS
    for (const thimble_choice *choice = result->choices; choice < result->choices + result->choice_count; choice++) {
        put_text(" ");
        put_said(choice->intent, choice->slots, choice->slot_count, choice->confidence);
    }
#endif
    put_text("\n");
}

/* The same of the generated ids. */
static void put_answer(thimble_slot *slots)
{
    thimble_result result;
    thimble_understand_end(&sentence, slots, &result);
    put_reply(&result);
}
#endif

/* The prompt's ids from words of decimal digits; how many, or -1 where one is no id. */
static int32_t read_ids(char *words)
{
    int32_t count = 0;
    uint32_t id;
    for (char *word = next_word(&words); *word; word = next_word(&words)) {
        if (!parse_number(word, THIMBLE_MODEL_VOCAB - 1, &id)) {
            return -1;
        }
        prompt.ids[count++] = (uint16_t)id;
    }
    return count;
}

static const char no_ids[] = "out-of-range token ids are numbers below the size of the vocabulary";

#ifdef THIMBLE_TOKEN_IDS
/* A model without a tokenizer: a text is its token ids, with spaces between them. */
#define NOT_ENCODED no_ids
#define CAN_BEGIN_EMPTY false

static int32_t encode_text(char *text, size_t length)
{
    text[length] = 0;
    return length_of(text) == length ? read_ids(text) : -1; /* a zero byte would hide what follows */
}

static int32_t encode_prompt(char *text, size_t length)
{
    return encode_text(text, length);
}

static bool stops(int32_t id)
{
    (void)id;
    return false;
}

static void put_piece(int32_t before, int32_t id, bool is_first)
{
    (void)before;
    put_text(is_first ? "" : "%20");
    put_number((uint32_t)id);
}
#else
#define NOT_ENCODED not_utf8
#define CAN_BEGIN_EMPTY (thimble_model_tokenizer.suffix_count == 0)
static const char not_utf8[] = "not-utf8 the text is not well-formed UTF-8";

static int32_t encode_text(char *text, size_t length)
{
    thimble_fold(&thimble_model_tokenizer, (uint8_t *)text, length);
    return thimble_encode(&thimble_model_tokenizer, (const uint8_t *)text, length, prompt.ids, IDS);
}

#ifndef THIMBLE_ANSWERS
static int32_t encode_prompt(char *text, size_t length)
{
    return thimble_encode_prompt(&thimble_model_tokenizer, (uint8_t *)text, length, prompt.ids, IDS);
}
#endif

static bool stops(int32_t id)
{
    return thimble_stops(&thimble_model_tokenizer, id);
}

static void put_piece(int32_t before, int32_t id, bool is_first)
{
    (void)is_first;
    size_t length;
    const uint8_t *piece = thimble_piece(&thimble_model_tokenizer, before, id, &length);
    put_percent(piece, length);
}
#endif

/* Takes the prompt, in blocks or step by step, then generates up to `max_new` tokens, and answers
 * "OK tokens_in tokens_out ticks end text", where end is why it stopped: eos, length, context or stopped. */
static error answer(size_t count, uint32_t max_new, bool in_blocks)
{
    if (lacks_model()) {
        return ANSWERED;
    }
    uint64_t started = board_ticks();
    int32_t before = prompt.ids[count - 1]; /* what the answer follows */
    thimble_reset(&model);
#ifdef THIMBLE_SAMPLING
    thimble_sampler_reset(&sampler);
#endif
#ifdef THIMBLE_GRAMMAR
    thimble_grammar_begin(&walk, &thimble_model_grammar, &thimble_model_tokenizer, before);
#endif
    int32_t next = in_blocks ? prefill(count) : feed(count);
    if (next < 0) {
        return "step the model refused a token of the prompt";
    }
    size_t position = count;
#ifdef THIMBLE_ANSWERS
    uint16_t *const ids = prompt.ids + (is_bound ? count : 0); /* where thimble_understand_end reads them */
#else
    uint16_t *const ids = prompt.ids; /* the prompt is done with */
#endif
    const uint32_t capacity = (uint32_t)(prompt.ids + IDS - ids);
    uint32_t generated = 0;
    const char *end = " length ";
    for (;;) {
        if (generated < capacity) {
            ids[generated] = (uint16_t)next;
        }
        generated++;
        if (stops(next)) {
            end = " eos ";
            break;
        }
        if (generated == max_new) {
            break;
        }
        if (board_stop_requested()) {
            end = " stopped ";
            break;
        }
        if (!THIMBLE_MODEL_ENDLESS && position == THIMBLE_MODEL_CONTEXT) {
            end = " context ";
            break;
        }
        next = step(position++, next, true);
        if (next < 0) {
            return "step the model refused a token of its own";
        }
    }
    put_text("OK");
    put_next(count);
    put_next(generated);
    put_next(board_ticks() - started);
    put_text(end);
#ifdef THIMBLE_ANSWERS
    if (is_bound) {
        thimble_slot slots[MODEL_ANSWER_SLOTS];
        sentence.count = generated;
        sentence.reason = equal(end, " context ") ? THIMBLE_TOO_LONG : THIMBLE_NO_REASON;
        put_answer(slots);
        return ANSWERED;
    }
#endif
    for (uint32_t i = 0; i < generated && i < capacity; i++) {
        put_piece(before, ids[i], i == 0);
        before = ids[i];
    }
    put_text("\n");
    return ANSWERED;
}

/* The number of new tokens, 0 if it is out of range. */
static uint32_t read_max_new(char **line)
{
    uint32_t max_new;
    return parse_number(next_word(line), MOST_NEW, &max_new) ? max_new : 0;
}

static const char no_max_new[] =
    "out-of-range the number of new tokens is 1 up to the context, a million where there is a window";

static error answer_if_it_fits(size_t count, uint32_t max_new, bool in_blocks)
{
    if (count <= THIMBLE_MODEL_CONTEXT) {
        return answer(count, max_new, in_blocks);
    }
    put_text("ERR too-long the prompt takes ");
    put_number(count);
    put_text(" tokens, the context has " STRING(THIMBLE_MODEL_CONTEXT) "\n");
    return ANSWERED;
}

#ifdef THIMBLE_ANSWERS
static const char stopped[] = "step the model stopped";

/* "STEP position token crc ticks next" of the id at a position of prompt and answer. */
static void put_step(uint32_t position, uint32_t crc, uint64_t ticks)
{
    put_text("STEP");
    put_next(position);
    put_next(sentence.ids[position]);
    put_text(" ");
    put_hex32(crc);
    put_next(ticks);
    put_next(sentence.ids[position + 1]);
    put_text("\n");
}

/* Of the logits that may follow. */
static uint32_t allowed_crc(void)
{
    uint32_t crc = 0;
    for (int32_t id = -1; (id = thimble_answer_allowed(&sentence.answer, id)) >= 0;) {
        const uint8_t *logit = (const uint8_t *)sentence.logits + THIMBLE_MODEL_LOGIT_BYTES * id;
        crc = thimble_crc32(crc, logit, THIMBLE_MODEL_LOGIT_BYTES);
    }
    return crc;
}

/* The rest of the answer at hand, or a part of it where that is enough. */
static void finish_answer(void)
{
    while (thimble_understand_feed(&sentence)) {
        thimble_understand_choose(&sentence);
        sentence.is_done = sentence.is_done || board_stop_requested();
    }
}

/* Answers the sentence at hand and computes only what is allowed, told as by PROMPT. The line of an id after which only
 * one may follow has no CRC and no ticks: it goes through the model with the next id, whose ticks are for both, or
 * never. Ticks are those of all that is done for the answer but to print it and its CRCs. Of the second best answer
 * only what it says is told. */
static error answer_allowed(void)
{
    thimble_slot slots[MODEL_ANSWER_SLOTS];
    const uint64_t started = board_ticks();
    const char *end = NULL;
    while (!end) {
        uint64_t since = board_ticks();
        const uint32_t fed = sentence.fed, end_of_fed = sentence.prompt + sentence.count;
        if (!thimble_understand_feed(&sentence)) {
            return stopped;
        }
        uint64_t ticks = board_ticks() - since;
        const uint32_t crc = allowed_crc();
        since = board_ticks();
        thimble_understand_choose(&sentence);
        ticks += board_ticks() - since;
        if (fed) {
            for (uint32_t i = fed; i < end_of_fed - 1; i++) {
                put_step(i, 0, 0);
            }
            put_step(end_of_fed - 1, crc, ticks);
        } else {
            put_text("PREFILL");
            put_next(sentence.prompt);
            put_text(" ");
            put_hex32(crc);
            put_next(ticks);
            put_next(sentence.ids[sentence.prompt]);
            put_text("\n");
        }
        if (sentence.is_done) {
            end = sentence.reason == THIMBLE_TOO_LONG     ? " context "
                  : sentence.reason == THIMBLE_UNFINISHED ? " length "
                                                          : " eos ";
        } else if (board_stop_requested()) {
            end = " stopped ";
        }
    }
    for (uint32_t i = sentence.fed; i < sentence.prompt + sentence.count - 1; i++) {
        put_step(i, 0, 0);
    }
    const uint32_t count = sentence.count;
#ifdef MODEL_ASKS
    if (thimble_understand_again(&sentence, slots)) {
        finish_answer();
        if (sentence.reason == THIMBLE_NO_MODEL) {
            return stopped;
        }
    }
#endif
    put_text("OK");
    put_next(sentence.prompt);
    put_next(count);
    put_next(board_ticks() - started);
    put_text(end);
    put_answer(slots);
    return ANSWERED;
}

/* UTF-8 as the inside of a JSON string, in ASCII. */
static void put_json_text(const uint8_t *text, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    char escape[] = "\\u0000";
    for (size_t at = 0; at < length;) {
        uint32_t point = 0xfffd; /* where it is not well-formed */
        const size_t size = thimble_read_character(text + at, length - at, &point);
        at += size ? size : 1;
        const bool is_plain = point >= ' ' && point < 127 && point != '"' && point != '\\';
        if (is_plain) {
            put_text((const char[]){(char)point, 0});
            continue;
        }
        /* Beyond U+FFFF two surrogates. */
        uint32_t units[2] = {point, 0};
        if (point > 0xffff) {
            units[0] = 0xd800u + ((point - 0x10000u) >> 10);
            units[1] = 0xdc00u + (point & 0x3ffu);
        }
        for (size_t i = 0; i < 1u + (units[1] != 0); i++) {
            for (size_t digit = 0; digit < 4; digit++) {
                escape[2 + digit] = digits[units[i] >> (12 - 4 * digit) & 15];
            }
            put_text(escape);
        }
    }
}

/* Thousandths, without zeros at the end. */
static void put_thousandths(int32_t amount)
{
    uint32_t size = amount < 0 ? 0u - (uint32_t)amount : (uint32_t)amount, part = size % 1000;
    put_text(amount < 0 ? "-" : "");
    put_number(size / 1000);
    for (const char *before = "."; part; before = "") {
        put_text(before);
        put_number(part / 100);
        part = part % 100 * 10;
    }
}

/* A slot as {"name": ..., "type": ..., "value": ...} and what its type has besides. */
static void put_json_slot(const thimble_slot *slot)
{
    static const char *const types[] = {"choice",  "name",     "text", "number", "percent",
                                        "degrees", "duration", "time", "date"};
    put_text("{\"name\":\"");
    put_json_text(slot->name, slot->name_length);
    put_text(slot->unit);
    put_text("\",\"type\":\"");
    put_text(types[slot->type]);
    put_text("\",\"value\":\"");
    if (slot->value) {
        put_json_text(slot->value, slot->value_length);
    } else {
        put_number(slot->number);
    }
    put_text("\"");
    if (slot->type >= THIMBLE_SLOT_NUMBER && slot->type <= THIMBLE_SLOT_DEGREES) {
        put_text(",\"number\":");
        put_thousandths(slot->amount);
    } else if (slot->type == THIMBLE_SLOT_DURATION || slot->type == THIMBLE_SLOT_TIME) {
        put_count(",\"seconds\":", (uint32_t)slot->amount);
    } else if (slot->type <= THIMBLE_SLOT_NAME) {
        put_count(",\"entry\":", slot->entry);
        if (slot->type == THIMBLE_SLOT_NAME) {
            put_count(",\"layer\":", slot->layer);
        }
    }
    if (slot->from != slot->to) {
        put_count(",\"from\":", slot->from);
        put_count(",\"to\":", slot->to);
    }
    put_text("}");
}

/* The members "intent", "slots", "confidence" and, where there is one, "context". */
static void put_json_answer(uint16_t intent, const thimble_slot *slots, size_t count, uint32_t confidence,
                            uint8_t context)
{
    size_t length;
    const uint8_t *name = thimble_intent_name(&thimble_model_answers, intent, &length);
    put_text("\"intent\":\"");
    put_json_text(name, length);
    put_text("\",\"slots\":[");
    for (size_t i = 0; i < count; i++) {
        put_text(i ? "," : "");
        put_json_slot(&slots[i]);
    }
    put_count("],\"confidence\":", confidence);
    put_text(context & THIMBLE_CONTEXT_AREA ? ",\"context\":[\"area\"]" : "");
}

/* Answers the sentence at hand, or says why nothing is done, as "OK {...}", in JSON. */
static error answer_in_json(void)
{
    thimble_slot slots[MODEL_ANSWER_SLOTS];
    thimble_result result;
    const uint64_t started = board_ticks();
    finish_answer();
    const uint32_t count = sentence.count;
#ifdef MODEL_ASKS
    if (thimble_understand_again(&sentence, slots)) {
        finish_answer();
    }
#endif
    const uint64_t ticks = board_ticks() - started;
    thimble_understand_end(&sentence, slots, &result);
    if (result.reason == THIMBLE_NO_MODEL) {
        return stopped;
    }
    put_text("OK {");
    put_json_answer(result.intent, slots, result.slot_count, result.confidence, result.context);
    put_text(",\"reason\":\"");
    if (result.reason == THIMBLE_MODEL_REASON) {
        put_json_text(slots[0].value, slots[0].value_length);
    } else if (result.reason != THIMBLE_NO_REASON) {
        put_text(thimble_reason_name(result.reason));
    }
    put_text("\"");
#ifdef MODEL_ASKS
    for (size_t i = 0; i < result.choice_count; i++) {
        const thimble_choice *choice = &result.choices[i];
        put_text(i ? "},{" : ",\"choices\":[{");
        put_json_answer(choice->intent, choice->slots, choice->slot_count, choice->confidence, choice->context);
    }
    put_text(result.choice_count ? "}]" : "");
#endif
    put_count(",\"tokens_in\":", sentence.prompt);
    put_count(",\"tokens_out\":", count);
    put_count(",\"ticks\":", ticks);
    put_text("}\n");
    return ANSWERED;
}

/* How a sentence is answered. */
enum { IN_STEPS, IN_BLOCKS, ALLOWED_ONLY, IN_JSON };

/* Makes the prompt of a sentence, and answers it; or says why nothing is done: "OK 0 0 0 refused NoMatch confidence
 * reason". */
static error answer_sentence(const uint8_t *text, size_t length, uint32_t max_new, int how)
{
    if (lacks_model()) {
        return ANSWERED;
    }
    sentence.max_new = max_new;
    const int32_t count = thimble_understand_begin(&sentence, text, length);
    if (sentence.reason == THIMBLE_NOT_UTF8) {
        return not_utf8;
    }
    if (how == IN_JSON) {
        return answer_in_json();
    }
    if (count && how == ALLOWED_ONLY) {
        return answer_allowed();
    }
    if (count) {
        is_bound = true;
        return answer((size_t)count, max_new, how == IN_BLOCKS);
    }
    thimble_slot slots[MODEL_ANSWER_SLOTS];
    put_text("OK 0 0 0 refused ");
    put_answer(slots);
    return ANSWERED;
}
#else
enum { IN_STEPS, IN_BLOCKS };
#endif

/* ASK max_new text, or PROMPT max_new text; a text that goes on, with no frame behind it, may go on from nothing. */
static error ask(char *line, int how)
{
    uint32_t max_new = read_max_new(&line);
    if (max_new == 0) {
        return no_max_new;
    }
    char *text = next_word(&line);
    if (*line) {
        return "malformed spaces in the text are percent-encoded: %20";
    }
    int32_t length = percent_decode(text);
    if (length < 0 || (length == 0 && !CAN_BEGIN_EMPTY)) {
        return length ? "malformed a % is followed by two hexadecimal digits"
                      : "malformed ASK max_new text, PROMPT max_new text";
    }
#ifdef THIMBLE_ANSWERS
    return answer_sentence((const uint8_t *)text, (size_t)length, max_new, how);
#else
#ifdef THIMBLE_GRAMMAR
    is_bound = true;
#endif
    int32_t count = encode_prompt(text, (size_t)length);
    return count < 0 ? NOT_ENCODED : answer_if_it_fits((size_t)count, max_new, how == IN_BLOCKS);
#endif
}

/* GEN max_new id id ... */
static error generate(char *line)
{
    uint32_t max_new = read_max_new(&line);
    if (max_new == 0) {
        return no_max_new;
    }
#if defined THIMBLE_ANSWERS || defined THIMBLE_GRAMMAR
    is_bound = false;
#endif
    int32_t count = read_ids(line);
    if (count <= 0) {
        return count ? no_ids : "malformed GEN max_new id id ...";
    }
    return answer_if_it_fits((size_t)count, max_new, false);
}

/* READ text: "OK tokens ticks", what it takes to make a prompt of a text, without the model. */
static error read_prompt(char *line)
{
    char *text = next_word(&line);
    const int32_t length = percent_decode(text);
    if (length < 0 || *line) {
        return "malformed READ text, percent-encoded";
    }
    if (lacks_model()) {
        return ANSWERED;
    }
    const uint64_t started = board_ticks();
#ifdef THIMBLE_ANSWERS
    const int32_t count = thimble_understand_begin(&sentence, (const uint8_t *)text, (size_t)length);
#else
    const int32_t count = encode_prompt(text, (size_t)length);
#endif
    const uint64_t ticks = board_ticks() - started;
    put_text("OK ");
    put_number(count < 0 ? 0 : (uint64_t)count);
    put_next(ticks);
    put_text("\n");
    return ANSWERED;
}

/* An id without meaning for each position. */
static int32_t filler(size_t position)
{
    return (int32_t)((7919 * position + 11) % THIMBLE_MODEL_VOCAB);
}

/* Takes these in blocks, from an empty context; their logits. */
static const void *fill_context(size_t count)
{
    const void *logits = NULL;
    for (size_t i = 0; i < count; i++) {
        prompt.tokens[i] = filler(i);
    }
    thimble_reset(&model);
    return thimble_prefill(&model, prompt.tokens, count, &logits) == THIMBLE_OK ? logits : NULL;
}

/* FULL: the most that a prompt and a step can take, told as a prompt that fills the context, and as the step at its
 * last position after the others. */
static error fill(char *line)
{
    enum { LAST = THIMBLE_MODEL_CONTEXT - 1 };
    (void)line;
    if (lacks_model()) {
        return ANSWERED;
    }
    put_text("PREFILL");
    put_next(THIMBLE_MODEL_CONTEXT);
    const uint64_t started = board_ticks();
    const void *logits = fill_context(THIMBLE_MODEL_CONTEXT);
    if (!logits || tell(logits, started, false) < 0) {
        return "step the model refused a token";
    }
    if (LAST && !fill_context(LAST)) {
        return "step the model refused a token";
    }
    if (step(LAST, filler(LAST), false) < 0) {
        return "step the model refused a token";
    }
    put_text("OK\n");
    return ANSWERED;
}

#ifdef THIMBLE_SAMPLING
/* SAMPLE temperature top_k top_p penalty seed: how tokens are drawn from now on; all but top_k and seed in thousandths.
 */
static error sample(char *line)
{
    static const struct {
        const char *name;
        error refused;
        uint32_t least, most;
    } settings[] = {
        {" temperature=", "out-of-range temperature", 0, 100000},
        {" top_k=", "out-of-range top_k", 0, THIMBLE_SAMPLER_CANDIDATES},
        {" top_p=", "out-of-range top_p", 1, 1000},
        {" penalty=", "out-of-range penalty", 100, 10000},
        {" seed=", "out-of-range seed", 0, UINT32_MAX},
    };
    uint32_t values[5];
    for (size_t i = 0; i < 5; i++) {
        if (!parse_number(next_word(&line), settings[i].most, &values[i]) || values[i] < settings[i].least) {
            return settings[i].refused;
        }
    }
    if (*next_word(&line)) {
        return "malformed SAMPLE temperature top_k top_p penalty seed";
    }
    sampler.temperature = values[0];
    sampler.top_k = values[1];
    sampler.top_p = values[2];
    sampler.penalty = values[3];
    thimble_sampler_seed(&sampler, values[4]);
    put_text("OK");
    for (size_t i = 0; i < 5; i++) {
        put_count(settings[i].name, values[i]);
    }
    put_text("\n");
    return ANSWERED;
}
#else
static error sample(char *line)
{
    (void)line;
    return "unsupported build with -DTHIMBLE_SAMPLING=ON to draw tokens";
}
#endif

/* ENC text: the ids of a text, as ASK would feed them. */
static error encode(char *line)
{
    char *text = next_word(&line);
    int32_t length = percent_decode(text);
    if (length < 0 || *line) {
        return "malformed ENC text, percent-encoded";
    }
    int32_t count = encode_text(text, (size_t)length);
    if (count < 0) {
        return NOT_ENCODED;
    }
    put_text("OK");
    for (int32_t i = 0; i < count; i++) {
        put_next(prompt.ids[i]);
    }
    put_text("\n");
    return ANSWERED;
}

#if defined THIMBLE_ANSWERS && THIMBLE_NAMES_BYTES
/* How many names were added, and bytes of the memory for them. */
static void put_names(void)
{
    put_count(" names=", names.vocabulary.count);
    put_count(" names_used=", thimble_names_used(&names));
    put_count(" names_bytes=", sizeof names_memory);
}
#endif

/* Compares all of the image at once; the parts that are broken. */
static uint32_t check_image(void)
{
    is_checking = false;
    image_check_begin(&checked);
    while (image_check_some(&checked, UINT32_MAX)) {
    }
    return checked.broken;
}

/* The same a little at a time; whether there is more to do. */
static bool check_in_idle_time(void)
{
    enum { BYTES = 128 }; /* some 1,600 instructions, after which a byte is read that came */
    if (is_checking) {
        board_watchdog();
        is_checking = image_check_some(&checked, BYTES);
        broken_parts |= checked.broken;
    }
    return is_checking;
}

/* CHECK: begins to compare the image while no request comes, unless that is at work; how far it is. */
static error check(char *line)
{
    (void)line;
    put_text("OK");
    put_count(" checked=", checked.read);
    put_count(" of=", image_bytes());
    put_text("\n");
    if (!is_checking) {
        image_check_begin(&checked);
        is_checking = true;
    }
    return ANSWERED;
}

static error info(char *line)
{
    static const char *const part_names[IMAGE_PARTS] = {" weights=", " tables=", " code=", " data=", " record="};
    (void)line;
    broken_parts |= check_image();
    put_text("OK protocol=" STRING(PROTOCOL_VERSION) " board=");
    put_text(board_name);
    put_text(" model=" BUILD_MODEL_NAME " build=");
    put_text(image.id);
    put_text(" model_version=" THIMBLE_MODEL_VERSION);
#ifndef THIMBLE_TOKEN_IDS
    put_text(" tokenizer_version=" BUILD_TOKENIZER_VERSION);
#endif
#ifdef THIMBLE_ANSWERS
    put_text(" answers_version=" BUILD_ANSWERS_VERSION);
#endif
    put_text(" vocab=" STRING(THIMBLE_MODEL_VOCAB) " context=" STRING(THIMBLE_MODEL_CONTEXT) " layers=" STRING(
        THIMBLE_MODEL_LAYERS) " counter=");
    put_text(board_counter());
    put_count(" tick_hz=", board_tick_hz);
    put_count(" step_ticks=", board_ticks_of_step);
    put_text(" ids=yes");
    put_count(" weights_bytes=", image.ranges[0].count);
    put_text(" weights_crc=");
    put_hex32(checked.weights_crc);
    for (uint32_t part = 0; part < IMAGE_PARTS; part++) {
        put_text(part_names[part]);
        put_text(broken_parts >> part & 1 ? "corrupt" : "intact");
    }
#ifdef THIMBLE_INTERPRETER
    put_count(" arena_bytes=", THIMBLE_MODEL_ARENA_BYTES);
    put_count(" arena_used=", model.model ? (uint64_t)thimble_interpreter_used() : 0);
#endif
#ifdef THIMBLE_ANSWERS
    put_text(" formats=text,json");
#if THIMBLE_NAMES_BYTES
    put_names();
#ifdef THIMBLE_STORE
    put_count(" names_stored=", thimble_store_capacity(&board_flash));
#else
    put_text(" names_stored=no");
#endif
#endif
#endif
    put_text("\n");
    return ANSWERED;
}

static error stack(char *line)
{
    (void)line;
    put_text("OK");
    put_count(" peak=", board_stack_peak());
    put_count(" size=", board_stack_size());
    put_text("\n");
    return ANSWERED;
}

#ifdef THIMBLE_PROFILE
/* "LAYER index ticks" for each, then "OK steps"; starts counting anew. */
static error profile(char *line)
{
    (void)line;
    for (uint32_t i = 0; i < THIMBLE_MODEL_LAYERS; i++) {
        put_text("LAYER");
        put_next(i);
        put_next(layer_ticks[i]);
        put_text("\n");
        layer_ticks[i] = 0;
    }
    put_text("OK");
    put_next(profiled_steps);
    put_text("\n");
    profiled_steps = 0;
    return ANSWERED;
}
#else
static error profile(char *line)
{
    (void)line;
    return "unsupported build with -DTHIMBLE_PROFILE=ON to count by layer";
}
#endif

#ifdef THIMBLE_TEST_COMMANDS
/* CRASH bus|stack|undefined|thread: what the fault handlers are tested with. CRASH poke ADDRESS: changes a byte. CRASH
 * restart: starts anew as a boot loader may leave the processor. CRASH masked: whether what masks interrupts leaves
 * them masked. */
__attribute__((noinline)) static uint32_t overflow_stack(const volatile uint32_t *caller)
{
    volatile uint32_t frame[16] = {*caller + 1};
    return frame[0] < UINT32_MAX ? overflow_stack(frame) + frame[0] : 0;
}

static error crash(char *line)
{
    const char *how = next_word(&line);
    if (equal(how, "bus")) {
        *(volatile uint32_t *)(uintptr_t)0xF0F00000u =
            1; /* vendors leave it empty; 0x80000000 is memory on some boards */
    } else if (equal(how, "stack")) {
        put_number(overflow_stack(&(volatile uint32_t){0}));
    } else if (equal(how, "undefined")) {
        __asm volatile("udf #0");
    } else if (equal(how, "thread") || equal(how, "restart")) {
        static _Alignas(8) uint32_t thread_stack[64];
        const bool restarts = equal(how, "restart");
        __asm volatile(".syntax unified\n msr psp, %0\n movs r3, #2\n msr control, r3\n isb\n"
                       "cmp %1, #0\n bne 1f\n udf #0\n"
                       "1: cpsid i\n ldr r3, =reset_handler\n bx r3\n .ltorg\n" ::"r"(thread_stack + 64),
                       "r"(restarts)
                       : "r3", "cc", "memory");
    } else if (equal(how, "poke")) {
        uint32_t address;
        if (parse_number(next_word(&line), UINT32_MAX, &address)) {
            *(volatile uint8_t *)(uintptr_t)address ^= 0x10;
            return "poked a byte was changed";
        }
    } else if (equal(how, "masked")) {
        uint32_t masked = 0;
        __asm volatile("cpsid i" ::: "memory");
        (void)board_ticks();
        __asm volatile("mrs %0, primask\n cpsie i" : "=r"(masked)::"memory");
        return masked ? "masked interrupts stayed off" : "masked interrupts were switched on";
    }
    return "malformed CRASH bus|stack|undefined|thread|restart|masked|poke ADDRESS";
}
#endif

#if defined THIMBLE_TEST_COMMANDS && defined THIMBLE_INTERPRETER
/* ARENA: the smallest one in which the interpreter can be made; what the firmware's build is given. */
static error arena(char *line)
{
    (void)line;
    if (!model.model) {
        put_init_error();
        return ANSWERED;
    }
    put_text("OK");
    put_count(" smallest=", (uint64_t)thimble_interpreter_smallest(model.arena));
    put_text("\n");
    return ANSWERED;
}
#endif

static error ask_in_steps(char *line)
{
    return ask(line, IN_STEPS);
}
static error ask_in_blocks(char *line)
{
    return ask(line, IN_BLOCKS);
}

#ifdef THIMBLE_ANSWERS
static error ask_allowed(char *line)
{
    return ask(line, ALLOWED_ONLY);
}
static error ask_in_json(char *line)
{
    return ask(line, IN_JSON);
}

#if THIMBLE_NAMES_BYTES
/* The kind of names that a word says, percent-encoded; -1: there is none. */
static int32_t read_kind(char *word)
{
    const int32_t length = percent_decode(word);
    const int32_t kind =
        length < 0 ? -1 : thimble_kind_of(&thimble_model_answers, (const uint8_t *)word, (size_t)length);
    for (size_t i = THIMBLE_NUMBER; i <= THIMBLE_DATE; i++) {
        if (kind == annotator.quantity_kinds[i]) {
            return -1;
        }
    }
    return kind;
}

static error names_told(void)
{
    put_text("OK");
    put_names();
    put_text("\n");
    return ANSWERED;
}

/* NAME kind value text: what people say for a thing from now on, before what the model knows. */
static error add_name(char *line)
{
    char *kind_word = next_word(&line), *value = next_word(&line), *text = next_word(&line);
    const int32_t kind = read_kind(kind_word), value_length = percent_decode(value), length = percent_decode(text);
    if (value_length <= 0 || length <= 0 || *line) {
        return "malformed NAME kind value text, each percent-encoded";
    }
    if (kind < 0) {
        return "out-of-range the model knows no such kind of names";
    }
    switch (thimble_names_add(&names, &thimble_model_annotator, (uint8_t)kind, (const uint8_t *)value,
                              (size_t)value_length, (const uint8_t *)text, (size_t)length, &sentence.words)) {
    case THIMBLE_NAMES_FULL: return "full there is no memory for more names";
    case THIMBLE_NAME_TOO_LONG: return "too-long a name has at most 255 bytes";
    case THIMBLE_NAME_NO_WORDS: return "malformed a name has letters or digits, in well-formed UTF-8";
    default: thimble_use_vocabulary(&annotator, &names.vocabulary); return names_told();
    }
}

#ifdef THIMBLE_STORE
static error store_names(void)
{
    if (thimble_names_stored_bytes(&names, &thimble_model_answers) > thimble_store_capacity(&board_flash)) {
        return "full the flash for names is too small for these";
    }
    return thimble_names_store(&names, &thimble_model_answers, &board_flash)
               ? NULL
               : "store the flash did not do what it was told; the names before are in it still";
}

/* Those that outlived a loss of power. */
static void restore_names(void)
{
    (void)thimble_names_restore(&names, &thimble_model_annotator, &thimble_model_answers, &board_flash,
                                &sentence.words);
    if (names.vocabulary.count) {
        thimble_use_vocabulary(&annotator, &names.vocabulary);
    }
}
#else
static error store_names(void)
{
    return "unsupported this board keeps no names over a loss of power";
}
#endif

/* NAMES: how many were added; NAMES clear: forgets them; NAMES store: keeps them over a loss of power. */
static error count_names(char *line)
{
    const char *what = next_word(&line);
    error refused = NULL;
    if (*line || (*what && !equal(what, "clear") && !equal(what, "store"))) {
        return "malformed NAMES, NAMES clear, NAMES store";
    }
    if (equal(what, "clear")) {
        thimble_names_clear(&names);
        annotator = thimble_model_annotator;
    } else if (*what) {
        refused = store_names();
    }
    if (refused) {
        return refused;
    }
    put_text("OK");
    put_names();
#ifdef THIMBLE_STORE
    put_text(thimble_names_are_stored(&names, &thimble_model_answers, &board_flash) ? " stored=yes" : " stored=no");
#else
    put_text(" stored=no");
#endif
    put_text("\n");
    return ANSWERED;
}
#else
static error add_name(char *line)
{
    (void)line;
    return "unsupported build with -DTHIMBLE_NAMES_BYTES=4096 to add names";
}

static error count_names(char *line)
{
    return add_name(line);
}
#endif
#endif

/* What takes the rest of a request's line. */
static const struct {
    char name[12];
    error (*take)(char *line);
} requests[] = {
    {"ASK", ask_in_steps},
    {"PROMPT", ask_in_blocks},
    {"GEN", generate},
    {"SAMPLE", sample},
    {"ENC", encode},
    {"READ", read_prompt},
    {"FULL", fill},
    {"INFO", info},
    {"CHECK", check},
    {"STACK", stack},
    {"PROFILE", profile},
#ifdef THIMBLE_ANSWERS
    {"ANSWER", ask_allowed},
    {"UNDERSTAND", ask_in_json},
    {"NAME", add_name},
    {"NAMES", count_names},
#endif
#ifdef THIMBLE_TEST_COMMANDS
    {"CRASH", crash},
#ifdef THIMBLE_INTERPRETER
    {"ARENA", arena},
#endif
#endif
    {"", NULL},
};

#ifdef THIMBLE_ANSWERS
#define REQUESTS "requests: ASK PROMPT GEN SAMPLE ENC READ FULL INFO CHECK STACK PROFILE ANSWER UNDERSTAND NAME NAMES"
#else
#define REQUESTS "requests: ASK PROMPT GEN SAMPLE ENC READ FULL INFO CHECK STACK PROFILE"
#endif

static error take_request(char *line)
{
    const char *command = next_word(&line);
    size_t i = 0;
    while (*requests[i].name && !equal(command, requests[i].name)) {
        i++;
    }
    if (!requests[i].take) {
        return *command ? "unknown " REQUESTS : "empty " REQUESTS;
    }
    if (broken_parts && requests[i].take != info && requests[i].take != check && requests[i].take != stack) {
        return "image flash does not hold what was built; INFO says which part";
    }
    return requests[i].take(line);
}

int main(void)
{
    board_init();
    broken_parts = check_image();
    set_guards();
    if (!broken_parts && !start_model()) {
        put_init_error();
    }
#ifdef THIMBLE_SAMPLING
    thimble_sampler_init(&sampler, sampler_marks);
#endif
#ifdef THIMBLE_ANSWERS
    annotator = thimble_model_annotator;
    sentence.context = &model;
    sentence.answers = &thimble_model_answers;
    sentence.tokenizer = &thimble_model_tokenizer;
    sentence.annotator = &annotator;
    sentence.work = CACHE_HOLDS_WORK ? NULL : (thimble_annotation *)(void *)work_memory;
    sentence.ids = prompt.ids;
    sentence.capacity = IDS;
#if THIMBLE_NAMES_BYTES
    thimble_names_init(&names, names_memory, sizeof names_memory);
#ifdef THIMBLE_STORE
    restore_names();
#endif
#endif
#endif
    put_text("READY thimble " STRING(PROTOCOL_VERSION) "\n");
    for (;;) {
        char *request = serial_read_line(check_in_idle_time);
        check_guards();
        error refused = take_request(request);
        if (refused) {
            put_error(refused);
        }
        check_guards();
    }
}
