#include "thimble_session.h"

enum { BLOCK = 8 }; /* tokens that a step takes at once, at most */

/* The logits of all ids are the longest piece of a step: with a hook between pieces they are computed in parts. */
#ifdef THIMBLE_YIELD
enum { PART = 64 }; /* ids, a multiple of 4 */
static const thimble_wanted all_logits = THIMBLE_LOGITS_LATER;

static void compute_logits(const thimble_context *context)
{
    const int32_t vocab = context->model->vocab;
    for (int32_t first = 0; first < vocab; first += PART) {
        thimble_logits(context, first, first + PART - 1 < vocab ? first + PART - 1 : vocab - 1);
        thimble_yield();
    }
}
#else
static const thimble_wanted all_logits = THIMBLE_ALL_LOGITS;

static void compute_logits(const thimble_context *context)
{
    (void)context;
}
#endif

size_t thimble_session_bytes(const thimble_model *model, size_t text_bytes)
{
    if (!model->text) {
        return 0;
    }
    const size_t memory = (size_t)model->cache_bytes + (size_t)model->arena_bytes;
    return model->text->answering ? THIMBLE_ROUNDED(memory) + model->text->answering->bytes(model, text_bytes)
                                  : THIMBLE_SESSION_BYTES(memory, (size_t)model->vocab, text_bytes);
}

/* Of a model that answers in text: the sampler, its marks, and ids in what is left. */
static bool place(thimble_session *session, uint8_t *memory, size_t bytes)
{
    const size_t marks = THIMBLE_ROUNDED(((size_t)session->context.model->vocab + 7u) / 8u);
    const size_t used = THIMBLE_ROUNDED(sizeof(thimble_sampler)) + marks;
    if (bytes < used + 2u * (THIMBLE_FRAME_IDS + 1u)) {
        return false;
    }
    session->sampler = (thimble_sampler *)(void *)memory;
    session->sampler->marks = memory + THIMBLE_ROUNDED(sizeof(thimble_sampler));
    session->ids = (uint16_t *)(void *)(memory + used);
    session->capacity = (bytes - used) / sizeof *session->ids;
    return true;
}

thimble_status thimble_session_init(thimble_session *session, const thimble_model *model, void *memory, size_t bytes)
{
    *session = (thimble_session){.status = THIMBLE_NO_TOKENS};
    if (!model->text || (uintptr_t)memory % 8u != 0) {
        return THIMBLE_BAD_MEMORY;
    }
    const thimble_status status = thimble_init(&session->context, model, memory, bytes);
    if (status != THIMBLE_OK) {
        return status;
    }
    const size_t used = THIMBLE_ROUNDED((size_t)model->cache_bytes + (size_t)model->arena_bytes);
    uint8_t *const rest = (uint8_t *)memory + used;
    const size_t left = bytes > used ? bytes - used : 0;
    const bool is_placed =
        model->text->answering ? model->text->answering->place(session, rest, left) : place(session, rest, left);
    return is_placed ? THIMBLE_OK : THIMBLE_BAD_MEMORY;
}

thimble_status thimble_session_sample(thimble_session *session, const thimble_sampling *sampling)
{
    const bool is_good = session->sampler && sampling->temperature <= 100000 &&
                         sampling->top_k <= THIMBLE_SAMPLER_CANDIDATES && sampling->top_p >= 1 &&
                         sampling->top_p <= 1000 && sampling->penalty >= 100 && sampling->penalty <= 10000;
    if (!is_good) {
        return THIMBLE_BAD_OPTION;
    }
    thimble_sampler *const sampler = session->sampler;
    thimble_sampler_init(sampler, sampler->marks);
    sampler->temperature = sampling->temperature;
    sampler->top_k = sampling->top_k;
    sampler->top_p = sampling->top_p;
    sampler->penalty = sampling->penalty;
    thimble_sampler_seed(sampler, sampling->seed);
    session->draw = thimble_sampler_draw;
    session->note = thimble_sampler_take;
    return THIMBLE_OK;
}

/* Ends what a call has to say. */
static thimble_status ended(thimble_session *session, thimble_status status)
{
    session->status = status;
    return status;
}

thimble_status thimble_session_begin(thimble_session *session, const char *text, size_t length)
{
    session->is_cancelled = 0;
    session->piece.length = 0;
    session->prompt = session->fed = session->made = 0;
    const thimble_text *const texts = session->context.model->text;
    if (texts->answering) {
        return ended(session, texts->answering->begin(session, text, length));
    }
    const thimble_tokenizer *const tokenizer = texts->tokenizer;
    if (length == 0 && tokenizer->suffix_count) {
        return ended(session, THIMBLE_BAD_TEXT);
    }
    const int32_t count =
        thimble_encode_prompt(tokenizer, (const uint8_t *)text, length, session->ids, session->capacity);
    if (count == THIMBLE_TEXT_NOT_UTF8) {
        return ended(session, THIMBLE_BAD_TEXT);
    }
    if (count < 0 || count > session->context.model->context) {
        return ended(session, THIMBLE_LONG_TEXT);
    }
    session->prompt = (uint32_t)count;
    session->last = session->ids[count - 1];
    if (texts->grammar) {
        thimble_grammar_begin(&session->walk, texts->grammar, tokenizer, session->last);
        session->sampler->allows = texts->grammar->following->allows;
        session->sampler->allowing = &session->walk;
    }
    if (session->draw) {
        session->sampler->taken = 0;
    }
    thimble_reset(&session->context);
    return ended(session, THIMBLE_MORE);
}

/* Gives the model the next tokens, and tells the sampler of them. */
static thimble_status take(thimble_session *session, const void **logits)
{
    const thimble_model *const model = session->context.model;
    int32_t tokens[BLOCK] = {session->last};
    size_t count = 1;
    thimble_wanted wanted = all_logits;
    if (session->fed < session->prompt) {
        const uint32_t left = session->prompt - session->fed;
        const uint32_t most = model->block < BLOCK ? (uint32_t)model->block : BLOCK;
        count = left < most ? left : most;
        wanted = count < left ? THIMBLE_NO_LOGITS : all_logits;
        for (size_t i = 0; i < count; i++) {
            tokens[i] = session->ids[session->fed + i];
        }
        session->fed += (uint32_t)count;
    }
    for (size_t i = 0; session->note && i < count; i++) {
        session->note(session->sampler, tokens[i]);
    }
    const thimble_status status = thimble_take(&session->context, tokens, count, wanted, logits);
    return status == THIMBLE_OK && wanted == THIMBLE_NO_LOGITS ? THIMBLE_MORE : status;
}

/* A step of a model that answers in text. */
static thimble_status go_on(thimble_session *session)
{
    const thimble_context *const context = &session->context;
    const thimble_model *const model = context->model;
    const thimble_tokenizer *const tokenizer = model->text->tokenizer;
    const void *logits = NULL;
    const thimble_status status = take(session, &logits);
    if (status != THIMBLE_OK) {
        return status;
    }
    compute_logits(context);
    const thimble_grammar *const grammar = model->text->grammar;
    const int32_t next = session->draw ? session->draw(session->sampler, model, logits)
                         : grammar     ? grammar->following->choose(&session->walk, model, logits)
                                       : thimble_sample_greedy(model, logits);
    if (grammar) {
        grammar->following->take(&session->walk, next);
    }
    size_t length = 0;
    const uint8_t *const bytes = thimble_piece(tokenizer, session->last, next, &length);
    session->piece = (thimble_view){(const char *)bytes, length};
    session->last = next;
    session->made++;
    if (thimble_stops(tokenizer, next)) {
        session->piece.length = 0;
        return THIMBLE_END_OF_ANSWER;
    }
    if (session->made == session->max_new) {
        return THIMBLE_END_LENGTH;
    }
    return model->window != model->context && context->position == model->context ? THIMBLE_END_CONTEXT : THIMBLE_MORE;
}

thimble_status thimble_session_step(thimble_session *session, thimble_view *piece)
{
    session->piece.length = 0;
    if (session->status == THIMBLE_MORE) {
        const thimble_answering *const answering = session->context.model->text->answering;
        const thimble_status status = session->is_cancelled ? THIMBLE_CANCELLED
                                      : answering           ? answering->step(session)
                                                            : go_on(session);
        (void)ended(session, status);
    }
    if (piece) {
        *piece = session->piece;
    }
    return session->status;
}

void thimble_session_cancel(thimble_session *session)
{
    session->is_cancelled = 1;
}

/* A text that grows in the caller's memory. */
typedef struct {
    char *text;
    size_t length, capacity;
    bool is_full;
} text_buffer;

static void append(void *to, const uint8_t *bytes, size_t count)
{
    text_buffer *const buffer = to;
    for (size_t i = 0; i < count && !buffer->is_full; i++) {
        buffer->is_full = buffer->length + 1 >= buffer->capacity;
        if (!buffer->is_full) {
            buffer->text[buffer->length++] = (char)bytes[i];
        }
    }
}

/* Ends the text with a zero byte, behind its last whole character. */
static void finish(text_buffer *buffer)
{
    size_t start = buffer->length;
    while (start && buffer->length - start < 4 && ((uint8_t)buffer->text[start - 1] & 0xC0) == 0x80) {
        start--;
    }
    if (start && (uint8_t)buffer->text[start - 1] >= 0xC0) {
        const uint8_t lead = (uint8_t)buffer->text[--start];
        const size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
        if (buffer->length - start < size) {
            buffer->length = start;
        }
    }
    buffer->text[buffer->length] = 0;
}

thimble_status thimble_session_ask(thimble_session *session, const char *text, size_t length, char *answer,
                                   size_t capacity)
{
    text_buffer buffer = {answer, 0, capacity, false};
    thimble_status status = thimble_session_begin(session, text, length);
    while (status == THIMBLE_MORE && !buffer.is_full) {
        thimble_view piece;
        status = thimble_session_step(session, &piece);
        append(&buffer, (const uint8_t *)piece.start, piece.length);
    }
    const thimble_answering *const answering = session->context.model->text->answering;
    if (answering && status >= THIMBLE_END_OF_ANSWER) {
        answering->say(session, append, &buffer);
    }
    finish(&buffer);
    return buffer.is_full ? ended(session, THIMBLE_END_LENGTH) : status;
}

const char *thimble_status_name(thimble_status status)
{
    static const char *const names[] = {"ok",        "bad-memory", "bad-token", "context-full", "failed",
                                        "no-tokens", "bad-text",   "long-text", "bad-option",   "more",
                                        "eos",       "length",     "context",   "cancelled"};
    return status >= 0 && (size_t)status < sizeof names / sizeof *names ? names[status] : "unknown";
}
