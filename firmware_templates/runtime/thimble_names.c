#include "thimble_names.h"

#include <string.h>

/* Of each name: starts of text and value, places in both orders, its value's index, its kind; and 24 bytes of texts. */
enum { BYTES_OF_TABLES = 15, BYTES_A_NAME = 40, FUZZY_LETTERS = 3, MOST_NAMES = 0xFFFE };

void thimble_names_init(thimble_names *names, void *memory, size_t bytes)
{
    size_t count = bytes / BYTES_A_NAME;
    if (count > MOST_NAMES) {
        count = MOST_NAMES;
    }
    names->max_names = (uint16_t)count;
    names->text_starts = memory;
    names->value_starts = names->text_starts + count + 1;
    names->by_text = (uint16_t *)(names->value_starts + count + 1);
    names->by_skeleton = names->by_text + count;
    names->value_of = names->by_skeleton + count;
    names->kinds = (uint8_t *)(names->value_of + count);
    names->text = names->kinds + count;
    const size_t tables = BYTES_OF_TABLES * count + 2 * sizeof(uint32_t);
    const size_t left = bytes > tables ? (bytes - tables) / 2 : 0;
    names->capacity = (uint16_t)(left < 0xFFFF ? left : 0xFFFF);
    names->values = names->text + names->capacity;
    names->vocabulary = (thimble_vocabulary){
        .text_starts = names->text_starts,
        .text = names->text,
        .by_text = names->by_text,
        .by_skeleton = names->by_skeleton,
        .kinds = names->kinds,
        .value_of = names->value_of,
        .value_starts = names->value_starts,
        .values = names->values,
    };
    thimble_names_clear(names);
}

void thimble_names_clear(thimble_names *names)
{
    thimble_vocabulary *vocabulary = &names->vocabulary;
    vocabulary->count = vocabulary->skeleton_count = vocabulary->longest = names->value_count = 0;
    vocabulary->max_words = 0;
    if (names->max_names) {
        names->text_starts[0] = names->value_starts[0] = 0;
    }
}

/* Below 0, 0 or above 0, as the first text is lower, equal or higher. */
static int compare(const uint8_t *a, size_t a_length, const uint8_t *b, size_t b_length)
{
    const int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
    return order ? order : (a_length > b_length) - (a_length < b_length);
}

/* Where a text belongs in the order of texts, and whether it is there. */
static uint16_t place_of_text(const thimble_names *names, const uint8_t *text, size_t length, bool *is_known)
{
    uint16_t at = 0;
    int order = -1;
    for (; at < names->vocabulary.count; at++) {
        const uint16_t entry = names->by_text[at];
        const uint32_t start = names->text_starts[entry];
        order = compare(names->text + start, names->text_starts[entry + 1] - start, text, length);
        if (order >= 0) {
            break;
        }
    }
    *is_known = at < names->vocabulary.count && order == 0;
    return at;
}

/* Where a skeleton belongs in the order of skeletons: behind its equals. */
static uint16_t place_of_skeleton(const thimble_names *names, const thimble_annotator *annotator,
                                  const uint8_t *skeleton, size_t length)
{
    uint8_t other[THIMBLE_MAX_NAME_BYTES];
    uint16_t at = 0;
    for (; at < names->vocabulary.skeleton_count; at++) {
        const uint16_t entry = names->by_skeleton[at];
        const uint32_t start = names->text_starts[entry];
        const size_t bytes =
            thimble_name_skeleton(annotator, names->text + start, names->text_starts[entry + 1] - start, other);
        if (compare(other, bytes, skeleton, length) > 0) {
            break;
        }
    }
    return at;
}

static void insert(uint16_t *table, uint16_t count, uint16_t at, uint16_t entry)
{
    memmove(table + at + 1, table + at, (size_t)(count - at) * sizeof *table);
    table[at] = entry;
}

/* The index of a value, which is added unless it is the text itself; false: there is no room. */
static bool add_value(thimble_names *names, const uint8_t *value, size_t length, const uint8_t *text,
                      size_t text_length, uint16_t *index)
{
    *index = THIMBLE_OWN_TEXT;
    if (compare(value, length, text, text_length) == 0) {
        return true;
    }
    const uint32_t start = names->value_starts[names->value_count];
    if (names->value_count == names->max_names || length > names->capacity - start) {
        return false;
    }
    memcpy(names->values + start, value, length);
    *index = names->value_count++;
    names->value_starts[names->value_count] = start + (uint32_t)length;
    return true;
}

thimble_name_status thimble_names_add(thimble_names *names, const thimble_annotator *annotator, uint8_t kind,
                                      const uint8_t *value, size_t value_length, const uint8_t *text, size_t length,
                                      thimble_words *words)
{
    thimble_vocabulary *vocabulary = &names->vocabulary;
    const int32_t count = thimble_normalize(annotator->normalizer, text, length, words);
    if (count == THIMBLE_TEXT_TOO_LONG || words->length > THIMBLE_MAX_NAME_BYTES) {
        return THIMBLE_NAME_TOO_LONG;
    }
    if (count <= 0) {
        return THIMBLE_NAME_NO_WORDS;
    }
    bool is_known;
    const uint16_t at = place_of_text(names, words->text, words->length, &is_known);
    const uint16_t entry = is_known ? names->by_text[at] : vocabulary->count;
    uint16_t value_index;
    if (!is_known && (entry == names->max_names || words->length > names->capacity - names->text_starts[entry])) {
        return THIMBLE_NAMES_FULL;
    }
    if (!add_value(names, value, value_length, words->text, words->length, &value_index)) {
        return THIMBLE_NAMES_FULL;
    }
    names->kinds[entry] = kind;
    names->value_of[entry] = value_index;
    if (is_known) {
        return THIMBLE_NAME_KNOWN;
    }
    memcpy(names->text + names->text_starts[entry], words->text, words->length);
    names->text_starts[entry + 1] = names->text_starts[entry] + words->length;
    insert(names->by_text, vocabulary->count, at, entry);
    vocabulary->count++;
    if (words->count > vocabulary->max_words) {
        vocabulary->max_words = (uint8_t)words->count;
    }
    uint8_t skeleton[THIMBLE_MAX_NAME_BYTES];
    const size_t bytes = thimble_name_skeleton(annotator, words->text, words->length, skeleton);
    uint16_t letters = 0;
    for (size_t i = 0; i < bytes; i++) {
        letters = (uint16_t)(letters + ((skeleton[i] & 0xC0) != 0x80));
    }
    if (letters >= FUZZY_LETTERS) {
        insert(names->by_skeleton, vocabulary->skeleton_count, place_of_skeleton(names, annotator, skeleton, bytes),
               entry);
        vocabulary->skeleton_count++;
        if (letters > vocabulary->longest) {
            vocabulary->longest = letters;
        }
    }
    return THIMBLE_NAME_KNOWN;
}
