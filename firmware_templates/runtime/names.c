#include "names.h"

#include <string.h>

enum { FUZZY_LETTERS = 3, MOST_NAMES = 0xFFFE, TABLES = 8 };

/* The bytes of each table. */
static void sizes_of(const thimble_names *names, size_t sizes[TABLES])
{
    const size_t count = names->vocabulary.count, values = names->value_count;
    sizes[0] = (count + 1) * sizeof *names->text_starts;
    sizes[1] = (values + 1) * sizeof *names->value_starts;
    sizes[2] = sizes[3] = sizes[4] = count * sizeof *names->by_text; /* by_text, by_skeleton, value_of */
    sizes[5] = count;                                                /* kinds */
    sizes[6] = names->text_starts[count];
    sizes[7] = names->value_starts[values];
}

static size_t sum_of(const size_t sizes[TABLES])
{
    size_t sum = 0;
    for (size_t i = 0; i < TABLES; i++) {
        sum += sizes[i];
    }
    return sum;
}

/* Says where tables of these sizes lie. */
static void place(thimble_names *names, const size_t sizes[TABLES])
{
    uint8_t *at[TABLES], *end = names->memory;
    for (size_t i = 0; i < TABLES; i++) {
        at[i] = end;
        end += sizes[i];
    }
    names->text_starts = (uint32_t *)(void *)at[0];
    names->value_starts = (uint32_t *)(void *)at[1];
    names->by_text = (uint16_t *)(void *)at[2];
    names->by_skeleton = (uint16_t *)(void *)at[3];
    names->value_of = (uint16_t *)(void *)at[4];
    names->kinds = at[5];
    names->text = at[6];
    names->values = at[7];
    thimble_vocabulary *vocabulary = &names->vocabulary;
    vocabulary->text_starts = names->text_starts;
    vocabulary->text = names->text;
    vocabulary->by_text = names->by_text;
    vocabulary->by_skeleton = names->by_skeleton;
    vocabulary->kinds = names->kinds;
    vocabulary->value_of = names->value_of;
    vocabulary->value_starts = names->value_starts;
    vocabulary->values = names->values;
}

void thimble_names_init(thimble_names *names, void *memory, size_t bytes)
{
    *names = (thimble_names){.memory = memory, .bytes = bytes};
    thimble_names_clear(names);
}

void thimble_names_clear(thimble_names *names)
{
    static const size_t empty[TABLES] = {sizeof *names->text_starts, sizeof *names->value_starts};
    thimble_vocabulary *vocabulary = &names->vocabulary;
    vocabulary->count = vocabulary->skeleton_count = vocabulary->longest = names->value_count = 0;
    vocabulary->max_words = 0;
    if (names->bytes < sum_of(empty)) {
        names->bytes = 0;
        return;
    }
    place(names, empty);
    names->text_starts[0] = names->value_starts[0] = 0;
}

size_t thimble_names_used(const thimble_names *names)
{
    size_t sizes[TABLES];
    if (!names->bytes) {
        return 0;
    }
    sizes_of(names, sizes);
    return sum_of(sizes);
}

/* Makes the tables longer: by one name with so many bytes of text (below 0: by none), and by one value likewise. */
static bool grow(thimble_names *names, int32_t text, int32_t value)
{
    size_t sizes[TABLES], longer[TABLES];
    sizes_of(names, sizes);
    memcpy(longer, sizes, sizeof longer);
    if (text >= 0) {
        longer[0] += sizeof *names->text_starts;
        for (size_t i = 2; i < 5; i++) {
            longer[i] += sizeof *names->by_text;
        }
        longer[5]++;
        longer[6] += (size_t)text;
    }
    if (value >= 0) {
        longer[1] += sizeof *names->value_starts;
        longer[7] += (size_t)value;
    }
    size_t from = sum_of(sizes), to = sum_of(longer);
    if (to > names->bytes || names->vocabulary.count == MOST_NAMES || names->value_count == MOST_NAMES) {
        return false;
    }
    for (size_t i = TABLES; i-- > 0;) {
        from -= sizes[i];
        to -= longer[i];
        memmove(names->memory + to, names->memory + from, sizes[i]);
    }
    place(names, longer);
    return true;
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
    uint16_t low = 0, high = names->vocabulary.count;
    *is_known = false;
    while (low < high) {
        const uint16_t middle = (uint16_t)(low + (high - low) / 2), entry = names->by_text[middle];
        const uint32_t start = names->text_starts[entry];
        const int order = compare(names->text + start, names->text_starts[entry + 1] - start, text, length);
        if (order < 0) {
            low = (uint16_t)(middle + 1);
        } else {
            high = middle;
            *is_known = *is_known || order == 0;
        }
    }
    return low;
}

/* Where a skeleton belongs in the order of skeletons: behind its equals. */
static uint16_t place_of_skeleton(const thimble_names *names, const thimble_annotator *annotator,
                                  const uint8_t *skeleton, size_t length)
{
    uint8_t other[THIMBLE_MAX_NAME_BYTES];
    uint16_t low = 0, high = names->vocabulary.skeleton_count;
    while (low < high) {
        const uint16_t middle = (uint16_t)(low + (high - low) / 2), entry = names->by_skeleton[middle];
        const uint32_t start = names->text_starts[entry];
        const size_t bytes =
            thimble_name_skeleton(annotator, names->text + start, names->text_starts[entry + 1] - start, other);
        if (compare(other, bytes, skeleton, length) > 0) {
            high = middle;
        } else {
            low = (uint16_t)(middle + 1);
        }
    }
    return low;
}

static void insert(uint16_t *table, uint16_t count, uint16_t at, uint16_t entry)
{
    memmove(table + at + 1, table + at, (size_t)(count - at) * sizeof *table);
    table[at] = entry;
}

/* The index of a value that other names have; their number: it is new. */
static uint16_t find_value(const thimble_names *names, const uint8_t *value, size_t length)
{
    uint16_t index = 0;
    for (; index < names->value_count; index++) {
        const uint32_t start = names->value_starts[index];
        if (compare(names->values + start, names->value_starts[index + 1] - start, value, length) == 0) {
            break;
        }
    }
    return index;
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
    if (!names->bytes || value_length > names->bytes) {
        return THIMBLE_NAMES_FULL;
    }
    bool is_known;
    const uint16_t at = place_of_text(names, words->text, words->length, &is_known);
    const uint16_t entry = is_known ? names->by_text[at] : vocabulary->count;
    const bool is_own = compare(value, value_length, words->text, words->length) == 0;
    const uint16_t value_index = is_own ? THIMBLE_OWN_TEXT : find_value(names, value, value_length);
    const bool is_new_value = value_index == names->value_count;
    if (!grow(names, is_known ? -1 : words->length, is_new_value ? (int32_t)value_length : -1)) {
        return THIMBLE_NAMES_FULL;
    }
    if (is_new_value) {
        const uint32_t start = names->value_starts[value_index];
        memcpy(names->values + start, value, value_length);
        names->value_starts[value_index + 1] = start + (uint32_t)value_length;
        names->value_count++;
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
