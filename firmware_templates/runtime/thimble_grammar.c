#include "thimble_grammar.h"

const thimble_grammar_following thimble_grammar_calls = {thimble_grammar_allows, thimble_grammar_choose,
                                                         thimble_grammar_take};

/* The state after an id's bytes; 0 where they may not follow, or are none. */
static uint32_t state_after(const thimble_grammar_walk *walk, int32_t id)
{
    const thimble_grammar *const grammar = walk->grammar;
    const thimble_tokenizer *const tokenizer = walk->tokenizer;
    const uint8_t *piece = tokenizer->pieces + tokenizer->piece_starts[id];
    const uint8_t *const end = tokenizer->pieces + tokenizer->piece_starts[id + 1];
    if (tokenizer->bare_start && walk->before == tokenizer->bos && piece < end && *piece == ' ') {
        piece++; /* as thimble_piece gives it */
    }
    uint32_t state = piece < end ? walk->state : 0;
    for (; piece < end && state; piece++) {
        const uint32_t at = state * grammar->class_count + grammar->classes[*piece];
        state = grammar->narrow ? grammar->narrow[at] : grammar->wide[at];
    }
    return state;
}

bool thimble_grammar_allows(const void *of, int32_t id)
{
    const thimble_grammar_walk *const walk = of;
    if (thimble_stops(walk->tokenizer, id)) {
        return walk->grammar->accepts[walk->state / 8] >> walk->state % 8 & 1;
    }
    return state_after(walk, id) != 0;
}

int32_t thimble_grammar_choose(const thimble_grammar_walk *walk, const thimble_model *model, const void *logits)
{
    int32_t best = -1, best_logit = INT32_MIN;
    for (int32_t id = 0; id < model->vocab; id++) {
        const int32_t logit = model->logit_bytes == 2 ? ((const int16_t *)logits)[id] : ((const int8_t *)logits)[id];
        if (logit > best_logit && thimble_grammar_allows(walk, id)) {
            best = id;
            best_logit = logit;
        }
    }
    return best;
}

void thimble_grammar_take(thimble_grammar_walk *walk, int32_t id)
{
    if (!thimble_stops(walk->tokenizer, id)) {
        walk->state = (uint16_t)state_after(walk, id);
    }
    walk->before = id;
}
