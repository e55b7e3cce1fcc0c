#include "thimble_names.h"

#include <string.h>

/* The tables, those of two-byte numbers first. */
enum { TEXT_STARTS, VALUE_STARTS, WORD_STARTS, BY_TEXT, BY_SKELETON, VALUE_OF, KINDS, TEXTS, VALUES, WORDS, TABLES };
typedef char thimble_as_many_tables[TABLES == THIMBLE_NAME_TABLES ? 1 : -1]; /* C99 has no _Static_assert */
enum { FUZZY_LETTERS = 3, MOST_NAMES = 0xFFFE, MOST_VALUES = THIMBLE_CASED - 1, MOST_WORDS = 0x7FFF, ONE_BYTE = 0x80 };

static size_t sum_of(const uint32_t sizes[TABLES])
{
    size_t sum = 0;
    for (size_t i = 0; i < TABLES; i++) {
        sum += sizes[i];
    }
    return sum;
}

static uint8_t *table(const thimble_names *names, size_t index)
{
    uint8_t *at = names->memory;
    for (size_t i = 0; i < index; i++) {
        at += names->sizes[i];
    }
    return at;
}

static uint16_t *numbers(const thimble_names *names, size_t index)
{
    return (uint16_t *)(void *)table(names, index);
}

/* Says where tables of these sizes lie. */
static void place(thimble_names *names, const uint32_t sizes[TABLES])
{
    memcpy(names->sizes, sizes, sizeof names->sizes);
    names->coded = (thimble_coded_names){
        .text_starts = numbers(names, TEXT_STARTS),
        .texts = table(names, TEXTS),
        .word_starts = numbers(names, WORD_STARTS),
        .words = table(names, WORDS),
        .value_starts = numbers(names, VALUE_STARTS),
        .values = table(names, VALUES),
    };
    thimble_vocabulary *vocabulary = &names->vocabulary;
    vocabulary->coded = &names->coded;
    vocabulary->by_text = numbers(names, BY_TEXT);
    vocabulary->by_skeleton = numbers(names, BY_SKELETON);
    vocabulary->value_of = numbers(names, VALUE_OF);
    vocabulary->kinds = table(names, KINDS);
}

void thimble_names_init(thimble_names *names, void *memory, size_t bytes)
{
    *names = (thimble_names){.memory = memory, .bytes = bytes};
    thimble_names_clear(names);
}

void thimble_names_clear(thimble_names *names)
{
    static const uint32_t empty[TABLES] = {sizeof(uint16_t), sizeof(uint16_t), sizeof(uint16_t)};
    thimble_vocabulary *vocabulary = &names->vocabulary;
    vocabulary->count = vocabulary->skeleton_count = vocabulary->longest = 0;
    vocabulary->max_words = 0;
    names->word_count = names->value_count = 0;
    if (names->bytes < sum_of(empty)) {
        names->bytes = 0; /* for no name at all */
        return;
    }
    place(names, empty);
    for (size_t i = TEXT_STARTS; i <= WORD_STARTS; i++) {
        *numbers(names, i) = 0;
    }
}

size_t thimble_names_used(const thimble_names *names)
{
    return sum_of(names->sizes);
}

/* Makes tables longer; false: there is no room. */
static bool grow(thimble_names *names, const uint32_t more[TABLES])
{
    uint32_t longer[TABLES];
    bool is_large = false;
    for (size_t i = 0; i < TABLES; i++) {
        longer[i] = names->sizes[i] + more[i];
        is_large = is_large || (i >= TEXTS && longer[i] > 0xFFFF);
    }
    size_t from = sum_of(names->sizes), to = sum_of(longer);
    if (to > names->bytes || is_large) {
        return false;
    }
    for (size_t i = TABLES; i-- > 0;) {
        from -= names->sizes[i];
        to -= longer[i];
        memmove(names->memory + to, names->memory + from, names->sizes[i]);
    }
    place(names, longer);
    return true;
}

/* Makes tables as short as they were, what was put behind being forgotten. */
static void shrink(thimble_names *names, const uint32_t sizes[TABLES])
{
    size_t from = 0, to = 0;
    for (size_t i = 0; i < TABLES; i++) {
        memmove(names->memory + to, names->memory + from, sizes[i]);
        from += names->sizes[i];
        to += sizes[i];
    }
    place(names, sizes);
}

/* Where a text belongs in the order of texts, and whether it is there. */
static uint16_t place_of_text(const thimble_names *names, const uint8_t *text, size_t length, bool *is_known)
{
    uint16_t low = 0, high = names->vocabulary.count;
    *is_known = false;
    while (low < high) {
        const uint16_t middle = (uint16_t)(low + (high - low) / 2);
        const int order = thimble_compare_name(&names->vocabulary, names->vocabulary.by_text[middle], text, length);
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
        const uint16_t middle = (uint16_t)(low + (high - low) / 2);
        const size_t bytes =
            thimble_name_skeleton(annotator, &names->vocabulary, names->vocabulary.by_skeleton[middle], other);
        const int order = memcmp(other, skeleton, bytes < length ? bytes : length);
        if (order > 0 || (order == 0 && bytes > length)) {
            high = middle;
        } else {
            low = (uint16_t)(middle + 1);
        }
    }
    return low;
}

static void insert(uint16_t *into, uint16_t count, uint16_t at, uint16_t entry)
{
    memmove(into + at + 1, into + at, (size_t)(count - at) * sizeof *into);
    into[at] = entry;
}

/* The index of a word, which is added where it is not known; MOST_WORDS: there is no room. */
static uint16_t index_of_word(thimble_names *names, const uint8_t *word, size_t length)
{
    const thimble_coded_names *coded = &names->coded;
    uint16_t index = 0;
    for (; index < names->word_count; index++) {
        const uint16_t start = coded->word_starts[index];
        if ((size_t)(coded->word_starts[index + 1] - start) == length &&
            memcmp(coded->words + start, word, length) == 0) {
            return index;
        }
    }
    const uint32_t more[TABLES] = {[WORD_STARTS] = sizeof(uint16_t), [WORDS] = (uint32_t)length};
    if (index == MOST_WORDS || !grow(names, more)) {
        return MOST_WORDS;
    }
    uint16_t *starts = numbers(names, WORD_STARTS);
    memcpy(table(names, WORDS) + starts[index], word, length);
    starts[index + 1] = (uint16_t)(starts[index] + length);
    names->word_count++;
    return index;
}

/* Writes the indices of a normalized text's words, which are added where they are not known; the bytes, which are no
 * more than the text's; 0: there is no room. */
static size_t encode(thimble_names *names, const uint8_t *text, size_t length, uint8_t *to)
{
    size_t bytes = 0;
    for (size_t start = 0; start < length;) {
        size_t end = start;
        while (end < length && text[end] != ' ') {
            end++;
        }
        const uint16_t index = index_of_word(names, text + start, end - start);
        if (index == MOST_WORDS) {
            return 0;
        }
        if (index >= ONE_BYTE) {
            to[bytes++] = (uint8_t)(ONE_BYTE | index >> 8);
        }
        to[bytes++] = (uint8_t)index;
        start = end + 1;
    }
    return bytes;
}

static bool is_capital_of(uint8_t capital, uint8_t letter)
{
    return letter >= 'a' && letter <= 'z' && capital == letter - 'a' + 'A';
}

/* Whether a value is these words in some cases, and in which. */
static bool read_cases(const thimble_words *words, const uint8_t *value, size_t length, uint16_t *cases)
{
    if (words->length != length || length > THIMBLE_CASED_BYTES || words->count > THIMBLE_CASED_WORDS) {
        return false;
    }
    *cases = THIMBLE_CASED;
    for (size_t i = 0, at = 0; i < words->count; i++, at++) {
        bool fits[3] = {true, true, true}; /* each of the cases */
        const size_t first = at;
        for (; at < length && words->text[at] != ' '; at++) {
            const bool is_same = value[at] == words->text[at];
            const bool is_raised = is_capital_of(value[at], words->text[at]);
            const bool has_case = words->text[at] >= 'a' && words->text[at] <= 'z';
            fits[THIMBLE_AS_IT_IS] = fits[THIMBLE_AS_IT_IS] && is_same;
            fits[THIMBLE_FIRST_CAPITAL] =
                fits[THIMBLE_FIRST_CAPITAL] && (at == first && has_case ? is_raised : is_same);
            fits[THIMBLE_ALL_CAPITALS] = fits[THIMBLE_ALL_CAPITALS] && (has_case ? is_raised : is_same);
        }
        if (at < length && value[at] != ' ') {
            return false;
        }
        uint16_t of_word = 0;
        while (of_word < 3 && !fits[of_word]) {
            of_word++;
        }
        if (of_word == 3) {
            return false;
        }
        *cases = (uint16_t)(*cases | of_word << 2 * i);
    }
    return true;
}

/* The index of a value as it is kept, which is added where it is not there; MOST_VALUES: there is no room. */
static uint16_t index_of_value(thimble_names *names, const uint8_t *head, size_t head_bytes, const uint8_t *value,
                               size_t length)
{
    const thimble_coded_names *coded = &names->coded;
    uint16_t index = 0;
    for (; index < names->value_count; index++) {
        const uint8_t *at = coded->values + coded->value_starts[index];
        if ((size_t)(coded->value_starts[index + 1] - coded->value_starts[index]) == head_bytes + length &&
            memcmp(at, head, head_bytes) == 0 && memcmp(at + head_bytes, value, length) == 0) {
            return index;
        }
    }
    const uint32_t more[TABLES] = {[VALUE_STARTS] = sizeof(uint16_t), [VALUES] = (uint32_t)(head_bytes + length)};
    if (index == MOST_VALUES || !grow(names, more)) {
        return MOST_VALUES;
    }
    uint16_t *starts = numbers(names, VALUE_STARTS);
    uint8_t *at = table(names, VALUES) + starts[index];
    memcpy(at, head, head_bytes);
    memcpy(at + head_bytes, value, length);
    starts[index + 1] = (uint16_t)(starts[index] + head_bytes + length);
    names->value_count++;
    return index;
}

/* Adds a name whose normalized text is `words`, or changes it where it is known. */
static bool add(thimble_names *names, const thimble_annotator *annotator, uint8_t kind, const thimble_words *words,
                const uint8_t *value, size_t value_length, uint16_t cases, const uint8_t *cased, size_t cased_length)
{
    thimble_vocabulary *vocabulary = &names->vocabulary;
    uint8_t codes[THIMBLE_MAX_NAME_BYTES + 1];
    bool is_known;
    const uint16_t at = place_of_text(names, words->text, words->length, &is_known);
    const uint16_t entry = is_known ? vocabulary->by_text[at] : vocabulary->count;
    const bool is_text = cases && cased_length == words->length && memcmp(cased, words->text, cased_length) == 0;
    uint16_t value_of = cases;
    if (cases && !is_text) {
        const size_t bytes = encode(names, cased, cased_length, codes);
        const uint8_t head[] = {(uint8_t)(cases >> 8), (uint8_t)cases};
        value_of = bytes ? index_of_value(names, head, sizeof head, codes, bytes) : MOST_VALUES;
    } else if (!cases) {
        value_of = index_of_value(names, &(const uint8_t){0}, 1, value, value_length);
    }
    if (value_of == MOST_VALUES || entry == MOST_NAMES) {
        return false;
    }
    if (!is_known) {
        const size_t bytes = encode(names, words->text, words->length, codes);
        const uint32_t more[TABLES] = {[TEXT_STARTS] = sizeof(uint16_t),
                                       [BY_TEXT] = sizeof(uint16_t),
                                       [BY_SKELETON] = sizeof(uint16_t),
                                       [VALUE_OF] = sizeof(uint16_t),
                                       [KINDS] = 1,
                                       [TEXTS] = (uint32_t)bytes};
        if (!bytes || !grow(names, more)) {
            return false;
        }
        uint16_t *starts = numbers(names, TEXT_STARTS);
        memcpy(table(names, TEXTS) + starts[entry], codes, bytes);
        starts[entry + 1] = (uint16_t)(starts[entry] + bytes);
        insert(numbers(names, BY_TEXT), vocabulary->count, at, entry);
        vocabulary->count++;
    }
    table(names, KINDS)[entry] = kind;
    numbers(names, VALUE_OF)[entry] = value_of;
    if (is_known) {
        return true;
    }
    if (words->count > vocabulary->max_words) {
        vocabulary->max_words = (uint8_t)words->count;
    }
    uint8_t skeleton[THIMBLE_MAX_NAME_BYTES];
    const size_t bytes = thimble_name_skeleton(annotator, vocabulary, entry, skeleton);
    uint16_t letters = 0;
    for (size_t i = 0; i < bytes; i++) {
        letters = (uint16_t)(letters + ((skeleton[i] & 0xC0) != 0x80));
    }
    if (letters >= FUZZY_LETTERS) {
        const uint16_t by_skeleton = place_of_skeleton(names, annotator, skeleton, bytes);
        insert(numbers(names, BY_SKELETON), vocabulary->skeleton_count, by_skeleton, entry);
        vocabulary->skeleton_count++;
        if (letters > vocabulary->longest) {
            vocabulary->longest = letters;
        }
    }
    return true;
}

thimble_name_status thimble_names_add(thimble_names *names, const thimble_annotator *annotator, uint8_t kind,
                                      const uint8_t *value, size_t value_length, const uint8_t *text, size_t length,
                                      thimble_words *words)
{
    uint8_t cased[THIMBLE_CASED_BYTES];
    uint16_t cases = 0;
    size_t cased_length = 0;
    if (thimble_normalize(annotator->normalizer, value, value_length, words) > 0 &&
        read_cases(words, value, value_length, &cases)) {
        cased_length = words->length;
        memcpy(cased, words->text, cased_length);
    } else {
        cases = 0;
    }
    const int32_t count = thimble_normalize(annotator->normalizer, text, length, words);
    if (count == THIMBLE_TEXT_TOO_LONG || (count > 0 && words->length > THIMBLE_MAX_NAME_BYTES)) {
        return THIMBLE_NAME_TOO_LONG;
    }
    if (count <= 0) {
        return THIMBLE_NAME_NO_WORDS;
    }
    if (!names->bytes || value_length > 0xFFFE) {
        return THIMBLE_NAMES_FULL;
    }
    uint32_t before[TABLES];
    memcpy(before, names->sizes, sizeof before);
    const uint16_t word_count = names->word_count, value_count = names->value_count;
    if (add(names, annotator, kind, words, value, value_length, cases, cased, cased_length)) {
        return THIMBLE_NAME_KNOWN;
    }
    shrink(names, before);
    names->word_count = word_count;
    names->value_count = value_count;
    return THIMBLE_NAMES_FULL;
}
