/* A model that is asked in text: what an application calls.
 *
 * The caller owns all memory, and nothing here waits, prints or allocates. `thimble_session_begin` reads a text, each
 * `thimble_session_step` does a piece of the work and gives a piece of the answer, `thimble_session_cancel` may come
 * from anywhere. Where nothing else is to be done meanwhile, `thimble_session_ask` and `thimble_session_understand`
 * are loops over these. Sessions share nothing but constants: each task may have its own, of one model or of many. */
#ifndef THIMBLE_SESSION_H
#define THIMBLE_SESSION_H

#include "thimble.h"
#include "thimble_grammar.h"
#include "thimble_sampler.h"
#include "thimble_tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

struct thimble_session;
struct thimble_answers;
struct thimble_annotator;

/* Text, UTF-8, without an end mark. */
typedef struct {
    const char *start;
    size_t length;
} thimble_view;

/* What models do that answer in intents and slots: thimble_intents. Others have none of it in their images. */
typedef struct {
    size_t (*bytes)(const thimble_model *model, size_t text_bytes);
    bool (*place)(struct thimble_session *session, uint8_t *memory, size_t bytes);
    thimble_status (*begin)(struct thimble_session *session, const char *text, size_t length);
    thimble_status (*step)(struct thimble_session *session);
    void (*say)(struct thimble_session *session, void (*say)(void *to, const uint8_t *bytes, size_t count), void *to);
} thimble_answering;

/* A model's texts, generated. */
typedef struct thimble_text {
    const thimble_tokenizer *tokenizer;
    const thimble_answering *answering; /* NULL: it answers in text, and the rest is NULL */
    const struct thimble_answers *answers;
    const struct thimble_annotator *annotator;
    int32_t slots;                  /* of an answer, at most */
    const thimble_grammar *grammar; /* of answers in text; NULL: any */
} thimble_text;

/* How tokens are drawn: all but top_k and seed in thousandths. docs/sampling.md says what they mean. */
typedef struct {
    uint32_t temperature; /* 0..100000; 0: the most likely token */
    uint32_t top_k;       /* 0..64; 0: all */
    uint32_t top_p;       /* 1..1000; 1000: all */
    uint32_t penalty;     /* 100..10000; 1000: none */
    uint32_t seed;
} thimble_sampling;

/* One conversation with a model. The members are its own, but for `max_new`. */
typedef struct thimble_session {
    thimble_context context;
    uint32_t max_new; /* tokens of an answer, at most; 0: as many as the context holds, or without end */
    uint16_t *ids;    /* [capacity]: of the prompt */
    size_t capacity;
    uint32_t prompt; /* ids of the prompt */
    uint32_t fed;    /* how many of these the model has taken */
    uint32_t made;   /* tokens of the answer */
    int32_t last;    /* the newest token */
    thimble_view piece;
    thimble_grammar_walk walk;
    thimble_sampler *sampler;                                                                  /* its memory */
    int32_t (*draw)(thimble_sampler *sampler, const thimble_model *model, const void *logits); /* NULL: most likely */
    void (*note)(thimble_sampler *sampler, int32_t token);
    void *answering; /* of models that answer in intents and slots */
    size_t text_capacity;
    thimble_status status;
    volatile uint8_t is_cancelled;
} thimble_session;

/* Bytes of a session's memory for a model that answers in text; its header has it with the model's numbers. */
#define THIMBLE_ROUNDED(bytes) (((bytes) + 7u) & ~(size_t)7u)
#define THIMBLE_FRAME_IDS 16u /* what tokenizers put around a text, at most */
#define THIMBLE_SESSION_BYTES(memory_bytes, vocab, text_bytes)                                                         \
    (THIMBLE_ROUNDED(memory_bytes) + THIMBLE_ROUNDED(sizeof(thimble_sampler)) + THIMBLE_ROUNDED(((vocab) + 7u) / 8u) + \
     THIMBLE_ROUNDED(2u * ((text_bytes) + THIMBLE_FRAME_IDS)))

/* The same of any model, 0 for one without a tokenizer: texts have at most `text_bytes` bytes. */
size_t thimble_session_bytes(const thimble_model *model, size_t text_bytes);

/* Places a session in `memory`, aligned to 8 bytes. Texts may be as long as the memory allows. Tokens are the most
 * likely ones, until thimble_session_sample. THIMBLE_BAD_MEMORY, also where the model has no tokenizer. */
thimble_status thimble_session_init(thimble_session *session, const thimble_model *model, void *memory, size_t bytes);

/* How tokens are drawn from now on, or THIMBLE_BAD_OPTION; models that answer in intents draw none. */
thimble_status thimble_session_sample(thimble_session *session, const thimble_sampling *sampling);

/* Reads a text, which is not needed afterwards, and forgets what was before. The model does not work yet. THIMBLE_MORE,
 * THIMBLE_BAD_TEXT or THIMBLE_LONG_TEXT. */
thimble_status thimble_session_begin(thimble_session *session, const char *text, size_t length);

/* Takes one block of the prompt, or one of the answer's tokens. THIMBLE_MORE: call it again. With each THIMBLE_MORE and
 * THIMBLE_END_... `piece`, which may be NULL, is what the answer goes on with, often nothing, and parts of a character
 * among it; it stays where it is. The end, and an error, is told again by each further call. */
thimble_status thimble_session_step(thimble_session *session, thimble_view *piece);

/* Ends the answer: the next step is THIMBLE_CANCELLED. May be called from interrupts and other tasks; what comes once
 * `thimble_session_begin` was entered counts. */
void thimble_session_cancel(thimble_session *session);

/* Asks and waits. `answer` gets text, or "Intent slot=value ..." from a model that answers in intents, with a zero
 * byte at its end; `capacity` > 0 counts that too. THIMBLE_END_LENGTH where it is full. */
thimble_status thimble_session_ask(thimble_session *session, const char *text, size_t length, char *answer,
                                   size_t capacity);

/* A status in one word. */
const char *thimble_status_name(thimble_status status);

#ifdef __cplusplus
}
#endif

#endif
