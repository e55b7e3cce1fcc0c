#include "thimble_answer.h"

#include "thimble_sampler.h"
#include "thimble_understand.h"

/* What the answer needs next, an intent at first. */
enum { NEEDS_INTENT, NEEDS_SLOT, NEEDS_VALUE, NEEDS_END, IS_WHOLE };

static const char *const units[5] = {"weeks", "days", "hours", "minutes", "seconds"};
enum { HOURS = 2, MINUTES = 3 };
/* Kinds of quantities come first, in the order of their names. */
enum { DURATION_KIND = 2, NUMBER_KIND = 3, TIME_KIND = 5 };
static const uint8_t types[6] = {THIMBLE_SLOT_DATE,   THIMBLE_SLOT_DEGREES, THIMBLE_SLOT_DURATION,
                                 THIMBLE_SLOT_NUMBER, THIMBLE_SLOT_PERCENT, THIMBLE_SLOT_TIME};
enum { DURATION_LENGTH = 8 }; /* of "duration" */

static int32_t first_pointer(const thimble_answers *tables)
{
    return tables->first + tables->kind_count;
}
static int32_t first_position(const thimble_answers *tables)
{
    return first_pointer(tables) + tables->pointer_count;
}
static int32_t first_intent(const thimble_answers *tables)
{
    return first_position(tables) + tables->position_count;
}
static int32_t first_slot(const thimble_answers *tables)
{
    return first_intent(tables) + tables->intent_count;
}
static int32_t first_value(const thimble_answers *tables)
{
    return first_slot(tables) + tables->slot_count;
}

static int32_t end_id(const thimble_answer *answer)
{
    return answer->tokenizer->stops[0];
}

/* The first in a list that is at least `least`, or -1. */
static int32_t list_from(const uint16_t *list, int32_t least)
{
    uint16_t low = 0, high = list[0];
    while (low < high) {
        uint16_t middle = (uint16_t)((low + high) / 2);
        if (list[1 + middle] < least) {
            low = (uint16_t)(middle + 1);
        } else {
            high = middle;
        }
    }
    return low < list[0] ? list[1 + low] : -1;
}

int32_t thimble_answer_prompt(thimble_answer *answer, const thimble_answers *tables, const thimble_tokenizer *tokenizer,
                              const uint8_t *original, const thimble_words *words, const thimble_mark *marks,
                              size_t mark_count, uint16_t *ids, size_t capacity, thimble_reason *reason)
{
    *answer = (thimble_answer){.tables = tables,
                               .tokenizer = tokenizer,
                               .original = original,
                               .words = words,
                               .marks = marks,
                               .mark_count = mark_count,
                               .confidence = THIMBLE_CERTAIN,
                               .state = NEEDS_INTENT};
    *reason = words->count > THIMBLE_MAX_WORDS     ? THIMBLE_TOO_MANY_WORDS
              : mark_count > tables->pointer_count ? THIMBLE_TOO_MANY_NAMES
                                                   : THIMBLE_TOO_LONG;
    if (*reason != THIMBLE_TOO_LONG || capacity < 1u + tokenizer->suffix_count) {
        return 0;
    }
    const thimble_mark *mark = marks, *behind = marks + mark_count;
    const size_t end = capacity - tokenizer->suffix_count;
    size_t count = 0;
    ids[count++] = tokenizer->bos;
    for (uint16_t word = 0; word < words->count;) {
        if (mark < behind && mark->first == word) {
            if (count == end) {
                return 0;
            }
            ids[count++] = (uint16_t)(tables->first + mark->kind);
            const thimble_mark *here = mark++;
            if (here->is_quantity) {
                while (word < here->end) {
                    answer->start_of[word++] = (uint16_t)(count - 1);
                }
                continue;
            }
        }
        answer->start_of[word] = (uint16_t)count;
        const size_t length = (size_t)(words->end[word] - words->start[word]);
        const int32_t pieces =
            thimble_encode_word(tokenizer, words->text + words->start[word], length, ids + count, end - count);
        if (pieces < 0) {
            return 0;
        }
        count += (size_t)pieces;
        word++;
    }
    for (uint8_t i = 0; i < tokenizer->suffix_count; i++) {
        ids[count++] = tokenizer->suffix[i];
    }
    *reason = THIMBLE_NO_REASON;
    return (int32_t)count;
}

void thimble_answer_begin(thimble_answer *answer)
{
    answer->confidence = THIMBLE_CERTAIN;
    answer->state = NEEDS_INTENT;
    answer->taken = 0;
}

/* The first position at which a word begins, or a quantity stands, whose id is above `after`; -1: none that has an id.
 */
static int32_t position_after(const thimble_answer *answer, int32_t after)
{
    const thimble_answers *tables = answer->tables;
    for (uint16_t word = 0; word < answer->words->count; word++) {
        const uint16_t start = answer->start_of[word];
        const int32_t id = first_position(tables) + start;
        if (start >= tables->position_count) {
            break;
        }
        if (id > after) {
            return id;
        }
    }
    return -1;
}

/* The lowest id above `after` that a slot may hold, or -1. */
static int32_t value_after(const thimble_answer *answer, const thimble_allowed *allowed, int32_t after)
{
    const thimble_answers *tables = answer->tables;
    const uint16_t *kinds = tables->lists + allowed->kinds, *values = tables->lists + allowed->values;
    for (size_t i = 0; i < answer->mark_count; i++) {
        const int32_t id = first_pointer(tables) + (int32_t)i, kind = answer->marks[i].kind;
        if (id > after && list_from(kinds, kind) == kind) {
            return id;
        }
    }
    const int32_t position = allowed->is_free ? position_after(answer, after) : -1;
    if (position >= 0) {
        return position;
    }
    const int32_t value = list_from(values, after + 1 - first_value(tables));
    return value >= 0 ? first_value(tables) + value : -1;
}

/* Whether an answer with an intent that has `said` of its slots, and could have `left` in the end, can be whole. */
static bool can_be_whole(const thimble_answer *answer, int32_t intent, uint32_t said, uint32_t left)
{
    const uint32_t *set = answer->tables->slot_sets + answer->tables->set_starts[intent];
    const uint32_t *end = set + 2 * *set;
    bool holds = *set == 0;
    for (; set < end && !holds; set += 2) {
        holds = (set[1] & ~left) == 0 && (said & ~set[2]) == 0;
    }
    return holds;
}

/* Bits of an intent's slots for which the sentence has a value. */
static uint32_t holding(const thimble_answer *answer, int32_t intent)
{
    const thimble_answers *tables = answer->tables;
    const uint16_t first = tables->intent_starts[intent], end = tables->intent_starts[intent + 1];
    uint32_t bits = 0;
    for (uint16_t i = first; i < end && i < first + 32; i++) {
        bits |= (uint32_t)(value_after(answer, &tables->allowed[i], -1) >= 0) << (i - first);
    }
    return bits;
}

/* The slot at `index` of `allowed`, as a bit among its intent's. */
static uint32_t bit_of(const thimble_answer *answer, uint16_t index)
{
    const int32_t bit = index - answer->tables->intent_starts[answer->intent];
    return bit < 32 ? (uint32_t)1 << bit : 0;
}

/* Whether the slot at `index` may follow. */
static bool may_follow(const thimble_answer *answer, uint16_t index)
{
    const uint32_t bit = bit_of(answer, index), said = answer->said | bit;
    return value_after(answer, &answer->tables->allowed[index], -1) >= 0 &&
           can_be_whole(answer, answer->intent, said, said | (answer->holding & ~(bit | (bit - 1))));
}

int32_t thimble_answer_allowed(const thimble_answer *answer, int32_t after)
{
    const thimble_answers *tables = answer->tables;
    switch (answer->state) {
    case NEEDS_INTENT:
        for (int32_t id = after < first_intent(tables) ? first_intent(tables) : after + 1; id < first_slot(tables);
             id++) {
            const int32_t intent = id - first_intent(tables);
            if (can_be_whole(answer, intent, 0, 0) || can_be_whole(answer, intent, 0, holding(answer, intent))) {
                return id;
            }
        }
        return -1;
    case NEEDS_SLOT:
        if (after < end_id(answer) && can_be_whole(answer, answer->intent, answer->said, answer->said)) {
            return end_id(answer);
        }
        for (uint16_t i = answer->slot; i < tables->intent_starts[answer->intent + 1]; i++) {
            const int32_t id = first_slot(tables) + tables->allowed[i].slot;
            if (id > after && may_follow(answer, i)) {
                return id;
            }
        }
        return -1;
    case NEEDS_VALUE: return value_after(answer, &tables->allowed[answer->slot], after);
    case NEEDS_END: {
        const int32_t start = first_position(tables) + answer->start;
        return position_after(answer, after < start ? start - 1 : after);
    }
    default: return -1;
    }
}

void thimble_answer_take(thimble_answer *answer, int32_t id)
{
    const thimble_answers *tables = answer->tables;
    answer->taken++;
    switch (answer->state) {
    case NEEDS_INTENT:
        answer->intent = (uint16_t)(id - first_intent(tables));
        answer->slot = tables->intent_starts[answer->intent];
        answer->said = 0;
        answer->holding = holding(answer, answer->intent);
        answer->state = NEEDS_SLOT;
        break;
    case NEEDS_SLOT:
        if (id == end_id(answer)) {
            answer->state = IS_WHOLE;
            break;
        }
        while (first_slot(tables) + tables->allowed[answer->slot].slot < id) {
            answer->slot++;
        }
        answer->said |= bit_of(answer, answer->slot);
        answer->state = NEEDS_VALUE;
        break;
    case NEEDS_VALUE:
        if (id >= first_position(tables) && id < first_intent(tables)) {
            answer->start = (uint16_t)(id - first_position(tables));
            answer->state = NEEDS_END;
            break;
        }
        /* fall through */
    default: answer->slot++; answer->state = NEEDS_SLOT;
    }
}

static int32_t logit_at(const thimble_model *model, const void *logits, int32_t id)
{
    return model->logit_bytes == 2 ? ((const int16_t *)logits)[id] : ((const int8_t *)logits)[id];
}

uint32_t thimble_answer_joint(const thimble_answer *answer, const thimble_model *model, const void *logits,
                              int32_t best, int32_t chosen)
{
    const int32_t largest = logit_at(model, logits, best);
    uint32_t sum = 0, weight = 0;
    for (int32_t id = thimble_answer_allowed(answer, -1); id >= 0; id = thimble_answer_allowed(answer, id)) {
        const uint64_t below = (uint64_t)(uint32_t)(largest - logit_at(model, logits, id));
        const uint32_t power = thimble_power((below * (uint32_t)model->logit_step + 128) >> 8);
        sum += power;
        weight = id == chosen ? power : weight;
    }
    const uint64_t probability = (((uint64_t)weight << 16) + sum / 2) / sum;
    return (uint32_t)((answer->confidence * probability + THIMBLE_CERTAIN / 2) >> 16);
}

void thimble_answer_compute(const thimble_answer *answer, const thimble_context *context)
{
    for (int32_t first = thimble_answer_allowed(answer, -1); first >= 0;) {
        int32_t last = first, id = thimble_answer_allowed(answer, first);
        while (id >= 0 && id / 4 <= last / 4 + 1) {
            last = id;
            id = thimble_answer_allowed(answer, id);
        }
        thimble_logits(context, first, last);
        first = id;
    }
}

int32_t thimble_answer_forced(const thimble_answer *answer)
{
    const int32_t id = thimble_answer_allowed(answer, -1);
    return thimble_answer_allowed(answer, id) < 0 ? id : -1;
}

int32_t thimble_answer_best(const thimble_answer *answer, const thimble_model *model, const void *logits, int32_t but)
{
    int32_t best = -1;
    for (int32_t id = thimble_answer_allowed(answer, -1); id >= 0; id = thimble_answer_allowed(answer, id)) {
        if (id != but && (best < 0 || logit_at(model, logits, id) > logit_at(model, logits, best))) {
            best = id;
        }
    }
    return best;
}

int32_t thimble_answer_choose(thimble_answer *answer, const thimble_model *model, const void *logits)
{
    const int32_t best = thimble_answer_best(answer, model, logits, -1);
    if (answer->tables->asking) {
        answer->tables->asking->note(answer, model, logits, best);
    }
    answer->confidence = thimble_answer_joint(answer, model, logits, best, best);
    thimble_answer_take(answer, best);
    return best;
}

bool thimble_answer_is_whole(const thimble_answer *answer)
{
    return answer->state == IS_WHOLE;
}

/* A text of the tables: names of intents, then of slots, then values. */
static const uint8_t *text_at(const thimble_answers *tables, int32_t index, uint16_t *length)
{
    *length = (uint16_t)(tables->text_starts[index + 1] - tables->text_starts[index]);
    return tables->text + tables->text_starts[index];
}

/* Below 0, 0 or above 0, as the first name is lower, equal or higher. */
static int compare_names(const thimble_slot *a, const thimble_slot *b)
{
    size_t i = 0;
    for (;; i++) {
        const int one = i < a->name_length ? a->name[i] : (uint8_t)a->unit[i - a->name_length];
        const int other = i < b->name_length ? b->name[i] : (uint8_t)b->unit[i - b->name_length];
        if (one != other || one == 0) {
            return one - other;
        }
    }
}

/* Puts a slot where its name belongs, instead of one of this name; the new number of slots. */
static size_t insert(thimble_slot *slots, size_t count, const thimble_slot *slot)
{
    size_t at = count;
    while (at > 0 && compare_names(&slots[at - 1], slot) > 0) {
        at--;
    }
    if (at > 0 && compare_names(&slots[at - 1], slot) == 0) {
        slots[at - 1] = *slot;
        return count;
    }
    for (size_t i = count; i > at; i--) {
        slots[i] = slots[i - 1];
    }
    slots[at] = *slot;
    return count + 1;
}

/* The words of the original from the one at one position to the one at another. */
static void say_words(const thimble_answer *answer, uint16_t start, uint16_t end, thimble_slot *slot)
{
    const thimble_words *words = answer->words;
    uint16_t first = 0, last = (uint16_t)(words->count - 1);
    while (answer->start_of[first] < start) {
        first++;
    }
    while (answer->start_of[last] > end) {
        last--;
    }
    slot->type = THIMBLE_SLOT_TEXT;
    slot->from = words->from[first];
    slot->to = words->to[last];
    slot->value = answer->original + slot->from;
    slot->value_length = (uint16_t)(slot->to - slot->from);
}

/* A whole number from 0 to 24 becomes a time of day. */
static void as_hour(thimble_slot *slot)
{
    static const uint8_t times[] = "00:0001:0002:0003:0004:0005:0006:0007:0008:0009:0010:0011:0012:00"
                                   "13:0014:0015:0016:0017:0018:0019:0020:0021:0022:0023:0024:00";
    uint32_t hour = 0;
    for (uint16_t i = 0; i < slot->value_length; i++) {
        if (i == 2 || slot->value[i] < '0' || slot->value[i] > '9' || (i == 1 && hour == 0)) {
            return;
        }
        hour = 10 * hour + (uint32_t)(slot->value[i] - '0');
    }
    if (slot->value_length == 0 || hour > 24) {
        return;
    }
    slot->value = times + 5 * hour;
    slot->value_length = 5;
    slot->type = THIMBLE_SLOT_TIME;
}

/* Of a duration, or of a time HH:MM, the number of a unit instead of the whole. */
static void take_unit(thimble_slot *slot, const thimble_mark *mark, size_t unit)
{
    const uint8_t *value = mark->value;
    if (mark->kind == DURATION_KIND) {
        slot->number = mark->parts[unit];
    } else if (mark->kind == TIME_KIND && (unit == HOURS || unit == MINUTES)) {
        value += unit == HOURS ? 0 : 3;
        slot->number = 10u * (uint32_t)(value[0] - '0') + (uint32_t)(value[1] - '0');
    } else {
        return;
    }
    slot->type = THIMBLE_SLOT_NUMBER;
    slot->value = NULL;
    slot->value_length = 0;
}

static int32_t limited(int64_t value)
{
    return (int32_t)(value > INT32_MAX ? INT32_MAX : value < INT32_MIN ? INT32_MIN : value);
}

/* A number in decimal digits, maybe with a sign and decimals, in thousandths. */
static int32_t thousandths(const uint8_t *text, size_t length)
{
    int64_t value = 0;
    int32_t decimals = -1;
    const bool is_negative = length && *text == '-';
    for (size_t i = is_negative; i < length && decimals < 3; i++) {
        if (text[i] < '0' || text[i] > '9') {
            decimals = 0;
            continue;
        }
        value = value > INT32_MAX ? value : 10 * value + (text[i] - '0');
        decimals += decimals >= 0;
    }
    for (decimals = decimals < 0 ? 0 : decimals; decimals < 3; decimals++) {
        value *= 10;
    }
    return limited(is_negative ? -value : value);
}

static int32_t amount_of(const thimble_slot *slot, const thimble_mark *mark)
{
    const uint8_t *text = slot->value;
    int64_t seconds = 0;
    switch (slot->type) {
    case THIMBLE_SLOT_NUMBER:
    case THIMBLE_SLOT_PERCENT:
    case THIMBLE_SLOT_DEGREES:
        return text ? thousandths(text, slot->value_length) : limited((int64_t)slot->number * 1000);
    case THIMBLE_SLOT_DURATION:
        seconds = 7 * (int64_t)mark->parts[0] + mark->parts[1];
        seconds = (24 * seconds + mark->parts[2]) * 60 + mark->parts[3];
        return limited(60 * seconds + mark->parts[4]);
    case THIMBLE_SLOT_TIME:
        return 60 * (600 * (text[0] - '0') + 60 * (text[1] - '0') + 10 * (text[3] - '0') + text[4] - '0');
    default: return 0;
    }
}

/* The index of the slot that is called as a slot's name and unit are together; that of the name where there is none. */
static uint16_t slot_of_unit(const thimble_answers *tables, const thimble_slot *slot)
{
    for (uint16_t index = 0; index < tables->slot_count; index++) {
        thimble_slot named = {.unit = ""};
        named.name = text_at(tables, tables->intent_count + index, &named.name_length);
        if (compare_names(&named, slot) == 0) {
            return index;
        }
    }
    return slot->slot;
}

size_t thimble_answer_slots(const thimble_answer *answer, const uint16_t *ids, size_t count, thimble_slot *slots)
{
    const thimble_answers *tables = answer->tables;
    const thimble_allowed *allowed = NULL;
    size_t made = 0;
    thimble_slot slot = {.unit = ""};
    for (size_t i = 1; i < count; i++) {
        const int32_t id = ids[i];
        if (id == end_id(answer)) {
            break;
        }
        if (id >= first_value(tables)) {
            const int32_t value = id - first_value(tables);
            slot.type = THIMBLE_SLOT_CHOICE;
            slot.entry = (uint16_t)value;
            slot.value = text_at(tables, tables->intent_count + tables->slot_count + value, &slot.value_length);
        } else if (id >= first_slot(tables)) {
            const int32_t index = id - first_slot(tables);
            allowed = tables->allowed + tables->intent_starts[ids[0] - first_intent(tables)];
            while (allowed->slot != index) {
                allowed++;
            }
            slot = (thimble_slot){.slot = (uint16_t)index, .unit = ""};
            slot.name = text_at(tables, tables->intent_count + index, &slot.name_length);
            continue;
        } else if (id >= first_position(tables)) {
            if (++i == count) {
                break;
            }
            say_words(answer, (uint16_t)(id - first_position(tables)), (uint16_t)(ids[i] - first_position(tables)),
                      &slot);
        } else {
            const thimble_mark *mark = &answer->marks[id - first_pointer(tables)];
            slot.from = answer->words->from[mark->first];
            slot.to = answer->words->to[mark->end - 1];
            if (allowed && allowed->expands == THIMBLE_FILLS_UNITS) {
                thimble_slot filled = slot;
                filled.type = THIMBLE_SLOT_NUMBER;
                filled.name_length = (uint16_t)(slot.name_length - DURATION_LENGTH);
                filled.value = NULL;
                filled.value_length = 0;
                for (size_t unit = 0; unit < 5; unit++) {
                    filled.unit = units[unit];
                    filled.number = mark->parts[unit];
                    if (filled.number) {
                        filled.slot = slot_of_unit(tables, &filled);
                        filled.amount = amount_of(&filled, mark);
                        made = insert(slots, made, &filled);
                    }
                }
                continue;
            }
            slot.type = mark->is_quantity ? types[mark->kind] : (uint8_t)THIMBLE_SLOT_NAME;
            slot.entry = mark->entry;
            slot.layer = mark->layer;
            slot.value = mark->value;
            slot.value_length = mark->value_length;
            if (allowed && allowed->expands >= THIMBLE_TAKES_UNIT) {
                take_unit(&slot, mark, allowed->expands - (size_t)THIMBLE_TAKES_UNIT);
            } else if (allowed && allowed->expands == THIMBLE_TAKES_HOURS && mark->kind == NUMBER_KIND) {
                as_hour(&slot);
            }
            slot.amount = amount_of(&slot, mark);
        }
        made = insert(slots, made, &slot);
    }
    return made;
}

/* Whether a sentence says one of some phrases, in its normalized words. */
static bool says_one(const thimble_words *words, const char *phrase)
{
    while (*phrase) {
        for (uint16_t word = 0; word < words->count; word++) {
            size_t at = words->start[word], i = 0;
            while (phrase[i] && at < words->length && words->text[at] == (uint8_t)phrase[i]) {
                at++;
                i++;
            }
            if (!phrase[i] && (at == words->length || words->text[at] == ' ')) {
                return true;
            }
        }
        while (*phrase++) {
        }
    }
    return false;
}

uint8_t thimble_answer_context(const thimble_answer *answer)
{
    const thimble_answers *tables = answer->tables;
    const int32_t intent = answer->intent;
    if (!tables->room_phrases) {
        return 0;
    }
    for (uint16_t i = tables->intent_starts[intent]; i < tables->intent_starts[intent + 1]; i++) {
        const int32_t slot = tables->allowed[i].slot;
        if ((answer->said & bit_of(answer, i)) && list_from(tables->lists + tables->room_places, slot) == slot) {
            return 0;
        }
    }
    return list_from(tables->lists + tables->room_always, intent) == intent ||
                   (list_from(tables->lists + tables->room_said, intent) == intent &&
                    says_one(answer->words, tables->room_phrases))
               ? THIMBLE_CONTEXT_AREA
               : 0;
}

thimble_reason thimble_answer_reason(const thimble_answer *answer, const thimble_slot *slots, size_t count)
{
    if (answer->confidence < answer->tables->threshold) {
        return THIMBLE_LOW_CONFIDENCE;
    }
    return answer->intent == 0 && count && slots[0].value_length ? THIMBLE_MODEL_REASON : THIMBLE_NO_REASON;
}

const uint8_t *thimble_intent_name(const thimble_answers *tables, uint16_t intent, size_t *length)
{
    uint16_t bytes;
    const uint8_t *name = text_at(tables, intent, &bytes);
    *length = bytes;
    return name;
}

const uint8_t *thimble_kind_name(const thimble_answers *tables, uint8_t kind, size_t *length)
{
    uint16_t bytes;
    const uint8_t *name =
        text_at(tables, tables->intent_count + tables->slot_count + tables->value_count + kind, &bytes);
    *length = bytes;
    return name;
}

int32_t thimble_kind_of(const thimble_answers *tables, const uint8_t *name, size_t length)
{
    const int32_t before = tables->intent_count + tables->slot_count + tables->value_count;
    for (int32_t kind = 0; kind < tables->kind_count; kind++) {
        uint16_t bytes;
        const uint8_t *text = text_at(tables, before + kind, &bytes);
        size_t same = 0;
        while (same < length && same < bytes && text[same] == name[same]) {
            same++;
        }
        if (same == length && same == bytes) {
            return kind;
        }
    }
    return -1;
}

/* Says a number in decimal digits. */
static void say_number(uint32_t number, void (*say)(void *to, const uint8_t *bytes, size_t count), void *to)
{
    uint8_t digits[10];
    size_t at = sizeof digits;
    do {
        digits[--at] = (uint8_t)('0' + number % 10);
        number /= 10;
    } while (number);
    say(to, digits + at, sizeof digits - at);
}

void thimble_answer_say(const thimble_answers *tables, uint16_t intent, const thimble_slot *slots, size_t count,
                        void (*say)(void *to, const uint8_t *bytes, size_t count), void *to)
{
    size_t length;
    const uint8_t *name = thimble_intent_name(tables, intent, &length);
    say(to, name, length);
    for (const thimble_slot *slot = slots; slot < slots + count; slot++) {
        say(to, (const uint8_t *)" ", 1);
        say(to, slot->name, slot->name_length);
        for (length = 0; slot->unit[length];) {
            length++;
        }
        say(to, (const uint8_t *)slot->unit, length);
        say(to, (const uint8_t *)"=", 1);
        if (slot->value) {
            say(to, slot->value, slot->value_length);
        } else {
            say_number(slot->number, say, to);
        }
    }
}

const char *thimble_reason_name(thimble_reason reason)
{
    static const char *const names[] = {"-",          "too-long", "too-many-words", "too-many-names", "low-confidence",
                                        "unfinished", "model",    "not-utf8",       "no-model"};
    return names[reason];
}
