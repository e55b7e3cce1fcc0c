/* Answers in answer tokens: the prompt of a sentence whose names and quantities are marked, which tokens may follow,
 * and what they say. The host's twin is pipeline/text/answers.py.
 *
 * A prompt is the words of the sentence, a marker before each known name and in place of each quantity. An answer is an
 * intent, then slots in ascending order, each with a value: a pointer at a mark, a value of a closed list, or two
 * positions in the prompt between which free text stands. */
#ifndef THIMBLE_ANSWER_H
#define THIMBLE_ANSWER_H

#include "thimble.h"
#include "thimble_tokenizer.h"
#include "thimble_words.h"

#ifdef __cplusplus
extern "C" {
#endif

/* 1 in confidences. */
#define THIMBLE_CERTAIN 65536u

/* Why nothing is done. One byte, whatever size a compiler gives to enumerations. */
typedef uint8_t thimble_reason;
enum {
    THIMBLE_NO_REASON = 0,
    THIMBLE_TOO_LONG, /* prompt and answer are longer than the context */
    THIMBLE_TOO_MANY_WORDS,
    THIMBLE_TOO_MANY_NAMES, /* more marks than pointers */
    THIMBLE_LOW_CONFIDENCE, /* below the threshold */
    THIMBLE_UNFINISHED,     /* it was stopped, or had enough tokens */
    THIMBLE_MODEL_REASON,   /* the model says it in the slot `reason` */
    THIMBLE_NOT_UTF8,       /* the sentence is no well-formed text */
    THIMBLE_NO_MODEL        /* its engine stopped in the middle of a step, or there is no memory to find names in */
};

/* How a slot takes a mark: for the slots of units that a duration fills, its own name ends in "duration" then; as a
 * time of day, where a whole number from 0 to 24 is a full hour; as the number of a unit of a duration, or the hours or
 * minutes of a time. */
enum { THIMBLE_FILLS_UNITS = 1, THIMBLE_TAKES_HOURS = 2, THIMBLE_TAKES_UNIT = 3 };

/* What a slot of an intent may hold. A list is its length, then so many indices, ascending. */
typedef struct {
    uint16_t slot;
    uint16_t kinds;  /* where the list of markers' indices begins in `lists` */
    uint16_t values; /* where the list of closed values begins */
    uint8_t is_free; /* whether it may hold any words of the sentence */
    uint8_t expands; /* how it takes a mark: 0, THIMBLE_FILLS_UNITS, THIMBLE_TAKES_HOURS, THIMBLE_TAKES_UNIT + unit */
} thimble_allowed;

/* Tables, generated. Ids of answer tokens are in this order: markers, pointers, positions, intents, slots, values. */
typedef struct thimble_answers {
    uint16_t first; /* id of the first marker */
    uint16_t kind_count, pointer_count, position_count, intent_count, slot_count, value_count;
    uint32_t threshold;                  /* confidence below which nothing is done */
    const struct thimble_asking *asking; /* NULL: that is all; else the two best answers are given then */
    const uint16_t *intent_starts;       /* [intent_count + 1]: where the slots of each intent start in `allowed` */
    const thimble_allowed *allowed;      /* slots ascending within an intent */
    const uint16_t *set_starts;          /* [intent_count]: where the list of each intent is in `slot_sets` */
    const uint32_t *slot_sets; /* lists of which slots answers have together: how many pairs, which slots are required,
                                  which are possible, ...; bit i is the intent's slot i. Of none: any. */
    const uint16_t *lists;
    uint16_t room_always;     /* where the list of intents begins that need the room where they are said; */
    uint16_t room_said;       /* of those that need it where the sentence says so; */
    uint16_t room_places;     /* of slots with which none needs it, since they say where, or which thing */
    const char *room_phrases; /* what says so, each with a zero byte, and one more; NULL: nothing needs a room */
    const uint16_t
        *text_starts; /* [intent_count + slot_count + value_count + kind_count + 1]: where each text starts in `text` */
    const uint8_t *text; /* names of intents, of slots, values, and names of markers; UTF-8 */
} thimble_answers;

/* A sentence and its answer so far. What it points at stays the caller's. */
typedef struct {
    const thimble_answers *tables;
    const thimble_tokenizer *tokenizer;
    const uint8_t *original; /* the sentence as it came */
    const thimble_words *words;
    const thimble_mark *marks;
    size_t mark_count;
    uint16_t start_of[THIMBLE_MAX_WORDS]; /* the prompt position at which each word begins */
    uint32_t confidence;                  /* of the tokens so far, in 1/65536 */
    uint8_t state;
    uint16_t intent;
    uint16_t slot;    /* where the slot at hand is in `allowed` */
    uint32_t said;    /* bits of the intent's slots so far */
    uint32_t holding; /* of those for which the sentence has a value */
    uint16_t start;   /* the first of two positions */
    uint16_t taken;   /* ids so far */
    /* Of the answers that depart from this one, each at the second most likely id of its place, the one that is most
     * likely so far: where, with which id, and how likely; 0: there is none. */
    uint16_t branch_at, branch;
    uint32_t branch_confidence;
} thimble_answer;

/* What a slot holds. */
typedef enum {
    THIMBLE_SLOT_CHOICE = 0, /* a closed value: `entry` is its index */
    THIMBLE_SLOT_NAME,       /* a name: the entry `entry` of the annotator's layer `layer` */
    THIMBLE_SLOT_TEXT,       /* words of the sentence */
    THIMBLE_SLOT_NUMBER,     /* `amount` in thousandths, as for percent and degrees */
    THIMBLE_SLOT_PERCENT,
    THIMBLE_SLOT_DEGREES,
    THIMBLE_SLOT_DURATION, /* `amount` in seconds */
    THIMBLE_SLOT_TIME,     /* `amount` in seconds since midnight */
    THIMBLE_SLOT_DATE      /* its text alone says which */
} thimble_slot_type;

/* A slot of an answer: what it holds, and its text as people and protocols write it. */
typedef struct {
    uint16_t slot;        /* index of its name among all slots: MODEL_SLOT_... of answer_ids.h */
    uint16_t entry;       /* of a closed value, MODEL_VALUE_...; of a name */
    uint8_t type;         /* a thimble_slot_type */
    uint8_t layer;        /* of a name: which of the annotator's layers */
    uint16_t from;        /* which bytes of the sentence say it; */
    uint16_t to;          /* from = to: none in particular */
    int32_t amount;       /* the largest or the least there is where it does not fit */
    uint32_t number;      /* of a unit of a duration, whose text are these decimal digits */
    const uint8_t *value; /* UTF-8 without an end mark; NULL: `number` */
    uint16_t value_length;
    uint16_t name_length;
    const uint8_t *name;
    const char *unit; /* comes behind the name; empty but for units of a duration */
} thimble_slot;

/* Writes the ids of the prompt, and prepares for its answer. Returns their number; 0 where `reason` says why there is
 * none. With `capacity` at least `words->length` + `mark_count` + 3 every prompt fits. */
int32_t thimble_answer_prompt(thimble_answer *answer, const thimble_answers *tables, const thimble_tokenizer *tokenizer,
                              const uint8_t *original, const thimble_words *words, const thimble_mark *marks,
                              size_t mark_count, uint16_t *ids, size_t capacity, thimble_reason *reason);

/* Forgets the answer's ids, and expects the first. */
void thimble_answer_begin(thimble_answer *answer);

/* The lowest id above `after` that may follow the answer so far, or -1; with -1 the lowest of all. */
int32_t thimble_answer_allowed(const thimble_answer *answer, int32_t after);

/* Computes the logits of the ids that may follow, of those that the model left for later (`thimble_take`): the fours of
 * ids in which they are, and the whole vocabulary where its model can compute no part of it. */
void thimble_answer_compute(const thimble_answer *answer, const thimble_context *context);

/* The only id that may follow, which is certain whatever the logits; -1: there are more. */
int32_t thimble_answer_forced(const thimble_answer *answer);

/* The most likely of the ids that may follow, the lowest of equals; it becomes part of the answer, and the softmax at
 * it of the logits that may follow a factor of the answer's confidence. */
int32_t thimble_answer_choose(thimble_answer *answer, const thimble_model *model, const void *logits);

/* Takes an id that may follow. */
void thimble_answer_take(thimble_answer *answer, int32_t id);

/* The most likely of the ids that may follow, the lowest of equals, but one (-1: none is left out); -1: there is no
 * other. */
int32_t thimble_answer_best(const thimble_answer *answer, const thimble_model *model, const void *logits, int32_t but);

/* The answer's confidence with an id more, `chosen`, times the softmax at it of the logits that may follow. `best` is
 * the most likely id. */
uint32_t thimble_answer_joint(const thimble_answer *answer, const thimble_model *model, const void *logits,
                              int32_t best, int32_t chosen);

/* Whether the answer is whole: nothing may follow. */
bool thimble_answer_is_whole(const thimble_answer *answer);

/* The slots of an answer, in ascending order of their names, and their number. `ids` are those of the whole answer.
 * The tables' header says how large `slots` must be. */
size_t thimble_answer_slots(const thimble_answer *answer, const uint16_t *ids, size_t count, thimble_slot *slots);

/* What an answer needs to know of where it is said. */
enum { THIMBLE_CONTEXT_AREA = 1 /* the room: it is said "in here", or only makes sense in a room and names none */ };

/* What of it this answer needs: THIMBLE_CONTEXT_AREA, or 0. */
uint8_t thimble_answer_context(const thimble_answer *answer);

/* Why nothing is done though there is an answer: its confidence, or what the model says. */
thimble_reason thimble_answer_reason(const thimble_answer *answer, const thimble_slot *slots, size_t count);

/* The name of an intent by its index; 0: nothing is done. */
const uint8_t *thimble_intent_name(const thimble_answers *tables, uint16_t intent, size_t *length);

/* The name of a marker by its index. */
const uint8_t *thimble_kind_name(const thimble_answers *tables, uint8_t kind, size_t *length);

/* The index of a marker by its name, or -1. */
int32_t thimble_kind_of(const thimble_answers *tables, const uint8_t *name, size_t length);

/* Says "Intent slot=value slot=value" in pieces; `say` gets `to` with each. */
void thimble_answer_say(const thimble_answers *tables, uint16_t intent, const thimble_slot *slots, size_t count,
                        void (*say)(void *to, const uint8_t *bytes, size_t count), void *to);

/* A reason in one word, "-" for none; of what the model says it is the slot's value. */
const char *thimble_reason_name(thimble_reason reason);

#ifdef __cplusplus
}
#endif

#endif
