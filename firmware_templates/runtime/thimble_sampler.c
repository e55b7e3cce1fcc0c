#include "thimble_sampler.h"

#include <stdbool.h>

#define ONE 1000u     /* of the settings that are in thousandths */
#define FACTOR 65536u /* 1 in factors */

/* A token that may be drawn: its logit in 2^-16 of a factor of two, then its weight. */
typedef struct {
    int32_t logit;
    int32_t id;
} candidate;

/* 2^16 * 2^(-i / 16), rounded. */
static const uint32_t powers[17] = {65536, 62757, 60097, 57549, 55109, 52773, 50535, 48393, 46341,
                                    44376, 42495, 40693, 38968, 37316, 35734, 34219, 32768};

/* PCG32 (O'Neill 2014, pcg-random.org: XSH-RR with 64 bits of state). */
static uint32_t next_random(thimble_sampler *s)
{
    const uint64_t old = s->state;
    s->state = old * 6364136223846793005u + 109u;
    const uint32_t shifted = (uint32_t)(((old >> 18) ^ old) >> 27), turn = (uint32_t)(old >> 59);
    return shifted >> turn | shifted << ((32u - turn) & 31u);
}

void thimble_sampler_init(thimble_sampler *sampler, uint8_t *marks)
{
    sampler->temperature = sampler->top_k = 0;
    sampler->top_p = sampler->penalty = ONE;
    sampler->marks = marks;
    sampler->marks_are_clear = false;
    sampler->allows = NULL;
    thimble_sampler_reset(sampler);
    thimble_sampler_seed(sampler, 0);
}

void thimble_sampler_seed(thimble_sampler *sampler, uint32_t seed)
{
    sampler->state = 0;
    (void)next_random(sampler);
    sampler->state += seed;
    (void)next_random(sampler);
}

void thimble_sampler_reset(thimble_sampler *sampler)
{
    sampler->taken = 0;
}

void thimble_sampler_take(thimble_sampler *sampler, int32_t token)
{
    sampler->recent[sampler->taken++ % THIMBLE_SAMPLER_RECENT] = (uint16_t)token;
}

/* Puts a mark on the recent tokens, or takes it off. */
__attribute__((noinline)) static void mark(thimble_sampler *s, bool on)
{
    const uint32_t count = s->taken < THIMBLE_SAMPLER_RECENT ? s->taken : THIMBLE_SAMPLER_RECENT;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t id = s->recent[i], bit = 1u << id % 8;
        s->marks[id / 8] = (uint8_t)(on ? s->marks[id / 8] | bit : s->marks[id / 8] & ~bit);
    }
}

/* A token's logit in 2^-16 of a factor of two, with the penalty on it. */
static int32_t logit_of(const thimble_sampler *s, const thimble_model *model, const void *logits, int32_t id)
{
    const int32_t value = model->logit_bytes == 2 ? ((const int16_t *)logits)[id] : ((const int8_t *)logits)[id];
    int32_t logit = (int32_t)(((int64_t)(value - model->logit_zero_point) * model->logit_step + 128) >> 8);
    if (s->penalty != ONE && (s->marks[id / 8] >> id % 8 & 1)) {
        const uint32_t factor = logit > 0 ? FACTOR * ONE / s->penalty : FACTOR * s->penalty / ONE;
        logit = (int32_t)((int64_t)logit * (int32_t)factor >> 16);
    }
    return logit;
}

uint32_t thimble_power(uint64_t x)
{
    const uint32_t whole = x >> 16 < 17 ? (uint32_t)(x >> 16) : 17u, part = (uint32_t)x & 0xffffu, place = part >> 12;
    const uint32_t value = powers[place] - (((powers[place] - powers[place + 1]) * (part & 0xfffu) + 0x800u) >> 12);
    return value >> whole;
}

static bool may_be_drawn(const thimble_sampler *s, int32_t id)
{
    return !s->allows || s->allows(s->allowing, id);
}

/* How likely a token is beside the best one, 2^16 at most. */
static uint32_t weight_of(const thimble_sampler *s, int32_t best, int32_t logit)
{
    return thimble_power((uint64_t)((uint32_t)best - (uint32_t)logit) * (FACTOR * ONE / s->temperature) >> 16);
}

/* The best `most` tokens, the best first, the lower id of equals; how many there are. */
static int32_t best_of(const thimble_sampler *s, const thimble_model *model, const void *logits, candidate *found,
                       int32_t most)
{
    int32_t count = 0;
    for (int32_t id = 0; id < model->vocab; id++) {
        const int32_t logit = logit_of(s, model, logits, id);
        if ((count == most && logit <= found[count - 1].logit) || !may_be_drawn(s, id)) {
            continue;
        }
        int32_t place = count < most ? count++ : count - 1;
        for (; place > 0 && found[place - 1].logit < logit; place--) {
            found[place] = found[place - 1];
        }
        found[place] = (candidate){logit, id};
    }
    return count;
}

/* The tokens whose weights reach the share top_p of all the found ones; how many, and their weights' sum. */
static int32_t nucleus(const thimble_sampler *s, const candidate *found, int32_t count, uint32_t *sum)
{
    uint32_t total = 0;
    for (int32_t i = 0; i < count; i++) {
        total += weight_of(s, found[0].logit, found[i].logit);
    }
    const uint64_t wanted = (uint64_t)total * s->top_p;
    *sum = 0;
    int32_t kept = 0;
    while (kept < count && (kept == 0 || (uint64_t)*sum * ONE < wanted)) {
        *sum += weight_of(s, found[0].logit, found[kept++].logit);
    }
    return kept;
}

/* One of the best tokens. */
static int32_t draw_from_best(thimble_sampler *s, const thimble_model *model, const void *logits)
{
    candidate found[THIMBLE_SAMPLER_CANDIDATES];
    const int32_t most =
        s->top_k && s->top_k < THIMBLE_SAMPLER_CANDIDATES ? (int32_t)s->top_k : THIMBLE_SAMPLER_CANDIDATES;
    const int32_t count = best_of(s, model, logits, found, most);
    uint32_t sum;
    const int32_t kept = nucleus(s, found, count, &sum);
    uint32_t target = (uint32_t)((uint64_t)next_random(s) * sum >> 32);
    for (int32_t i = 0; i < kept - 1; i++) {
        const uint32_t weight = weight_of(s, found[0].logit, found[i].logit);
        if (target < weight) {
            return found[i].id;
        }
        target -= weight;
    }
    return found[kept - 1].id;
}

/* One of all tokens. */
static int32_t draw_from_all(thimble_sampler *s, const thimble_model *model, const void *logits, int32_t best)
{
    uint32_t sum = 0, target;
    for (int32_t id = 0; id < model->vocab; id++) {
        sum += may_be_drawn(s, id) ? weight_of(s, best, logit_of(s, model, logits, id)) : 0;
    }
    target = (uint32_t)((uint64_t)next_random(s) * sum >> 32);
    int32_t drawn = 0;
    for (int32_t id = 0; id < model->vocab; id++) {
        if (!may_be_drawn(s, id)) {
            continue;
        }
        const uint32_t weight = weight_of(s, best, logit_of(s, model, logits, id));
        drawn = id;
        if (target < weight) {
            break;
        }
        target -= weight;
    }
    return drawn;
}

int32_t thimble_sampler_draw(thimble_sampler *s, const thimble_model *model, const void *logits)
{
    if (s->penalty == 0) {
        s->penalty = ONE;
    }
    if (s->temperature == 0 && s->penalty == ONE && !s->allows) {
        return thimble_sample_greedy(model, logits);
    }
    if (!s->marks_are_clear) { /* the first draw is the first that knows how many there are */
        for (int32_t i = 0; i < (model->vocab + 7) / 8; i++) {
            s->marks[i] = 0;
        }
        s->marks_are_clear = true;
    }
    mark(s, true);
    candidate best;
    (void)best_of(s, model, logits, &best, 1);
    int32_t id = best.id;
    if (s->temperature) {
        id =
            s->top_k || s->top_p < ONE ? draw_from_best(s, model, logits) : draw_from_all(s, model, logits, best.logit);
    }
    mark(s, false);
    return id;
}
