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

/* A model with its tables, and the sentence at hand. The caller sets the first part, and keeps what it points at. */
typedef struct {
    thimble_context *context;
    const thimble_answers *answers;
    const thimble_tokenizer *tokenizer;
    const thimble_annotator *annotator; /* also one with names of the application's own: thimble_use_vocabulary */
    thimble_annotation
        *work;         /* while names are found; NULL: the KV cache, which holds as much in all but tiny models */
    uint16_t *ids;     /* [capacity]: of the prompt, then of the answer */
    uint16_t capacity; /* any prompt of `context` tokens, and any answer to it, fits in context + 1 */
    uint32_t max_new;  /* ids of an answer, at most; 0: as many as the context holds */

    const uint8_t *text;
    thimble_words words;
    thimble_mark marks[THIMBLE_MAX_MARKS];
    uint8_t values[THIMBLE_MAX_VALUES_BYTES];
    thimble_answer answer;
    const void *logits;
    uint32_t prompt;       /* ids of the prompt */
    uint32_t count;        /* ids of the answer so far, in `ids` */
    uint32_t fed;          /* how many of these the model has taken; of the prompt, until it has all */
    thimble_reason reason; /* why nothing is done, as far as it is known */
    bool is_done;
} thimble_understanding;

/* What a sentence asks for. `slots` and their texts stay until the next sentence. */
typedef struct {
    uint16_t intent;       /* MODEL_INTENT_... of answer_ids.h; 0: do nothing */
    thimble_reason reason; /* why nothing is done, where that is known */
    uint32_t confidence;   /* in 1/65536 */
    size_t slot_count;
    const thimble_slot *slots; /* in ascending order of their names, each once */
} thimble_result;

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

/* What the answer says, also of one that was stopped before its end. */
void thimble_understand_end(thimble_understanding *u, thimble_slot *slots, thimble_result *result);

#ifdef __cplusplus
}
#endif

#endif
