#include "thimble_ask.h"

/* Of the answers that leave this one, each at the second most likely id, keeps the likeliest. */
static void note(thimble_answer *answer, const thimble_model *model, const void *logits, int32_t best)
{
    const int32_t other = thimble_answer_best(answer, model, logits, best);
    const uint32_t confidence = other < 0 ? 0 : thimble_answer_joint(answer, model, logits, best, other);
    if (confidence > answer->branch_confidence) {
        answer->branch_confidence = confidence;
        answer->branch_at = answer->taken;
        answer->branch = (uint16_t)other;
    }
}

/* What the answer at hand says, which is whole. */
static void read_choice(const thimble_understanding *u, thimble_slot *slots, thimble_choice *choice)
{
    choice->intent = u->answer.intent;
    choice->context = thimble_answer_context(&u->answer);
    choice->confidence = u->answer.confidence;
    choice->slot_count = thimble_answer_slots(&u->answer, u->ids + u->prompt, u->count, slots);
    choice->slots = slots;
}

static bool again(thimble_understanding *u, thimble_slot *slots)
{
    thimble_answer *const answer = &u->answer;
    uint16_t *const ids = u->ids + u->prompt;
    if (u->is_second || u->reason != THIMBLE_NO_REASON || !thimble_answer_is_whole(answer) ||
        answer->confidence >= u->answers->threshold || answer->branch_confidence == 0) {
        return false;
    }
    read_choice(u, slots, &u->choices[0]);
    u->is_second = true;
    u->count = answer->branch_at;
    u->fed = (uint32_t)thimble_rewind(u->context, (int32_t)(u->prompt + u->count));
    thimble_answer_begin(answer);
    for (uint32_t i = 0; i < u->count; i++) {
        thimble_answer_take(answer, ids[i]);
    }
    thimble_answer_take(answer, answer->branch);
    answer->confidence = answer->branch_confidence;
    thimble_understand_add(u, answer->branch);
    return true;
}

static void end(thimble_understanding *u, thimble_slot *slots, thimble_result *result)
{
    const bool is_whole = u->reason == THIMBLE_NO_REASON && thimble_answer_is_whole(&u->answer);
    if (is_whole) {
        read_choice(u, slots + u->choices[0].slot_count, &u->choices[1]);
    }
    u->reason = u->reason == THIMBLE_NO_MODEL ? THIMBLE_NO_MODEL : THIMBLE_LOW_CONFIDENCE;
    *result = (thimble_result){.reason = u->reason,
                               .confidence = u->choices[0].confidence,
                               .slots = slots,
                               .choice_count = is_whole ? 2 : 0,
                               .choices = u->choices};
}

const thimble_asking thimble_asks = {.note = note, .again = again, .end = end};
