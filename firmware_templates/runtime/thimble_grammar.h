/* A grammar of answers in text: which tokens may follow. An automaton over bytes, made of GBNF or a JSON Schema; a
 * token may follow where the automaton takes all its bytes, the end where the text so far is whole. The host's twin is
 * pipeline/text/grammar.py. */
#ifndef THIMBLE_GRAMMAR_H
#define THIMBLE_GRAMMAR_H

#include "thimble.h"
#include "thimble_tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

struct thimble_grammar_walk;

/* What follows a grammar: thimble_grammar_calls. */
typedef struct {
    bool (*allows)(const void *walk, int32_t id);
    int32_t (*choose)(const struct thimble_grammar_walk *walk, const thimble_model *model, const void *logits);
    void (*take)(struct thimble_grammar_walk *walk, int32_t id);
} thimble_grammar_following;

/* Tables, generated. State 0 is the dead one, state 1 the first. */
typedef struct thimble_grammar {
    const thimble_grammar_following *following;
    const uint8_t *classes; /* [256]: of each byte */
    const uint8_t *narrow;  /* [states][class_count]: the next state, of grammars with less than 256 */
    const uint16_t *wide;   /* the same of others */
    const uint8_t *accepts; /* a bit for each state: whether the text is whole there */
    uint16_t class_count;
} thimble_grammar;

/* An answer on its way. */
typedef struct thimble_grammar_walk {
    const thimble_grammar *grammar;
    const thimble_tokenizer *tokenizer;
    int32_t before; /* the newest token */
    uint16_t state;
} thimble_grammar_walk;

extern const thimble_grammar_following thimble_grammar_calls;

/* Begins an answer, behind the last token of the prompt. */
static inline void thimble_grammar_begin(thimble_grammar_walk *walk, const thimble_grammar *grammar,
                                         const thimble_tokenizer *tokenizer, int32_t before)
{
    walk->grammar = grammar;
    walk->tokenizer = tokenizer;
    walk->before = before;
    walk->state = 1;
}

/* Whether an id may follow; `walk` is a thimble_grammar_walk. There is always one that may. */
bool thimble_grammar_allows(const void *walk, int32_t id);

/* The most likely of the ids that may follow, the lowest of equals. */
int32_t thimble_grammar_choose(const thimble_grammar_walk *walk, const thimble_model *model, const void *logits);

/* Goes on with an id that may follow. */
void thimble_grammar_take(thimble_grammar_walk *walk, int32_t id);

#ifdef __cplusplus
}
#endif

#endif
