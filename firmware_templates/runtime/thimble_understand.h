/* From a sentence to what it asks for: an intent and slots with numbers and ids, of which nothing has to be parsed.
 *
 * `thimble_understand` is a loop over the functions below it, for those who have something to do between the calls of
 * the model. Only logits of ids that may follow are computed; an id that is the only one that may follow is taken
 * without any, and goes through the model together with the one after it. The answers are those that all logits give.
 */
#ifndef THIMBLE_UNDERSTAND_H
#define THIMBLE_UNDERSTAND_H

#include "thimble_answer.h"
#include "thimble_matcher.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An answer that may be the one that is meant. */
typedef struct {
    uint16_t intent; /* 0: do nothing */
    uint8_t context; /* THIMBLE_CONTEXT_AREA: it needs the room where it is said */
    uint32_t confidence;
    size_t slot_count;
    const thimble_slot *slots;
} thimble_choice;

/* A model with its tables, and the sentence at hand. The caller sets the first part, and keeps what it points at. */
typedef struct {
    thimble_context *context;
    const thimble_answers *answers;
    const thimble_tokenizer *tokenizer;
    const thimble_annotator *annotator; /* also one with names of the application's own: thimble_use_vocabulary */
    thimble_annotation
        *work;         /* while names are found; NULL: the KV cache, which holds as much in all but tiny models */
    uint16_t *ids;     /* [capacity]: of the prompt, and behind them those of the answer */
    uint16_t capacity; /* any prompt of `context` tokens, and any answer to it, fits in context + 1 */
    uint32_t max_new;  /* ids of an answer, at most; 0: as many as the context holds */

    const uint8_t *text;
    thimble_words words;
    thimble_mark marks[THIMBLE_MAX_MARKS];
    uint8_t values[THIMBLE_MAX_VALUES_BYTES];
    thimble_answer answer;
    const void *logits;
    uint32_t prompt;       /* ids of the prompt */
    uint32_t count;        /* ids of the answer so far */
    uint32_t fed;          /* how many of all these the model has taken */
    thimble_reason reason; /* why nothing is done, as far as it is known */
    bool is_done;
    bool is_second; /* whether the answer at hand is the second best */
    thimble_choice choices[2];
} thimble_understanding;

/* What a sentence asks for. `slots` and their texts stay until the next sentence. */
typedef struct {
    uint16_t intent;       /* MODEL_INTENT_... of answer_ids.h; 0: do nothing */
    thimble_reason reason; /* why nothing is done, where that is known */
    uint8_t context;       /* THIMBLE_CONTEXT_AREA: it needs the room where it is said */
    uint32_t confidence;   /* in 1/65536 */
    size_t slot_count;
    const thimble_slot *slots;     /* in ascending order of their names, each once */
    size_t choice_count;           /* 0, or 2 where nothing is done until the speaker has said which is meant */
    const thimble_choice *choices; /* the more likely one first; with the understanding until the next sentence */
} thimble_result;

/* What models do that ask which of two answers is meant: thimble_asks of thimble_ask.h. Others have none of it in their
 * images. */
typedef struct thimble_asking {
    void (*note)(thimble_answer *answer, const thimble_model *model, const void *logits, int32_t best);
    bool (*again)(thimble_understanding *u, thimble_slot *slots);
    void (*end)(thimble_understanding *u, thimble_slot *slots, thimble_result *result);
} thimble_asking;

/* Reads a sentence, UTF-8 with a zero byte at its end, and says what it asks for. `slots`: [MODEL_ANSWER_SLOTS] of
 * answer_tables.h. Returns whether something is to be done. */
bool thimble_understand(thimble_understanding *u, const char *text, thimble_slot *slots, thimble_result *result);

/* Writes the prompt of a sentence into `ids`, and returns its number of ids; 0 where `reason` says why the model is not
 * asked. */
int32_t thimble_understand_begin(thimble_understanding *u, const uint8_t *text, size_t length);

/* Gives the model the prompt, or the ids that it has not taken yet, and computes the logits of those that may follow.
 * False: there is no more to do. */
bool thimble_understand_feed(thimble_understanding *u);

/* The same for one block of them: THIMBLE_MORE until it is the last. */
thimble_status thimble_understand_take(thimble_understanding *u);

/* Takes the most likely of these ids, and those after it that are certain. */
void thimble_understand_choose(thimble_understanding *u);

/* Whether there is a second best answer to be found, for which feeding and choosing begin again: see thimble_ask.h.
 * `slots` get those of the first one. */
bool thimble_understand_again(thimble_understanding *u, thimble_slot *slots);

/* What the answer says, also of one that was stopped before its end. `slots` as for `thimble_understand_again`. */
void thimble_understand_end(thimble_understanding *u, thimble_slot *slots, thimble_result *result);

/* For thimble_ask.c: adds an id that the answer has taken, and those after it that are certain. */
void thimble_understand_add(thimble_understanding *u, int32_t id);

#ifdef __cplusplus
}
#endif

#endif
