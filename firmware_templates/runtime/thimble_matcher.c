#include "thimble_matcher.h"

#include <string.h>

enum {
    FUZZY_LETTERS = 3,             /* names with fewer are found only as they are written */
    TYPO_LETTERS = 4,              /* names with fewer are not looked for with typos */
    MOST_LETTERS = 48,             /* nor are names with more */
    LONG_LETTERS = 9,              /* names of so many may have two typos */
    WORD_BYTES = 4 * MOST_LETTERS, /* longer words are no compounds */
    SPAN_WORDS = THIMBLE_SPAN_WORDS,
    NOTHING = -1
};

/* In a set of letters: a space and an apostrophe are in no skeleton, and an e behind another vowel may be left out. */
#define UNCERTAIN_LETTERS ((uint64_t)1 << (' ' & 63) | (uint64_t)1 << ('\'' & 63) | (uint64_t)1 << ('e' & 63))

/* A sentence while it is marked. */
typedef thimble_annotation sentence;

/* An entry's name as it is compared. */
typedef struct {
    uint8_t words;
    uint16_t length; /* bytes of `joined` */
    uint16_t starts[THIMBLE_MAX_NAME_BYTES / 2 + 2];
    uint8_t skeletons[THIMBLE_MAX_NAME_BYTES]; /* of the words */
    uint8_t joined[THIMBLE_MAX_NAME_BYTES];    /* written together */
} name_forms;

static size_t count_letters(const uint8_t *text, size_t length)
{
    size_t letters = 0;
    for (size_t i = 0; i < length; i++) {
        letters += (text[i] & 0xC0) != 0x80;
    }
    return letters;
}

/* Bytes of the first `letters` letters, or of all. */
static size_t first_letters(const uint8_t *text, size_t length, size_t letters)
{
    size_t i = 0;
    while (i < length && ((text[i] & 0xC0) == 0x80 || letters-- > 0)) {
        i++;
    }
    return i;
}

/* Of a text with a zero byte at its end: the one function of string.h that freestanding C does not have. */
static size_t length_of(const char *text)
{
    size_t length = 0;
    while (text[length]) {
        length++;
    }
    return length;
}

/* Below 0, 0 or above 0, as the first text is lower, equal or higher. */
static int compare(const uint8_t *a, size_t a_length, const uint8_t *b, size_t b_length)
{
    const int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
    return order ? order : (a_length > b_length) - (a_length < b_length);
}

static bool ends_with(const uint8_t *text, size_t length, const char *ending, size_t ending_length)
{
    return ending_length <= length && memcmp(text + length - ending_length, ending, ending_length) == 0;
}

static bool has_hash(const uint8_t *table, uint16_t count, const uint8_t *text, size_t length)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ text[i]) * 16777619u;
    }
    hash = hash >> 24 ^ (hash & 0xFFFFFFu);
    uint32_t low = 0, high = count;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        const uint8_t *bytes = table + THIMBLE_HASH_BYTES * middle;
        const uint32_t found = (uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 8 | bytes[2];
        if (found == hash) {
            return true;
        }
        if (found < hash) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}

static size_t make_skeleton(const sentence *s, const uint8_t *word, size_t length, uint8_t *skeleton)
{
    return thimble_skeleton(s->annotator->normalizer, word, length, skeleton);
}

static const uint8_t *find_restored(const sentence *s, const uint8_t *skeleton, size_t length, size_t *restored)
{
    return thimble_restored(s->annotator->normalizer, skeleton, length, restored);
}

static const uint8_t *word_at(const sentence *s, size_t index, size_t *length)
{
    *length = (size_t)(s->words->end[index] - s->words->start[index]);
    return s->words->text + s->words->start[index];
}

static const uint8_t *skeleton_at(const sentence *s, size_t index, size_t *length)
{
    *length = (size_t)(s->skeletons.end[index] - s->skeletons.start[index]);
    return s->skeletons.text + s->skeletons.start[index];
}

/* Adds a skeleton to those before it, as the skeleton of both in one word would be: of "o" and "eck" it is "ock". */
static size_t join(const thimble_annotator *annotator, uint8_t *joined, size_t length, const uint8_t *skeleton,
                   size_t added)
{
    if (annotator->inflection->umlauts && length && added && skeleton[0] == 'e') {
        const uint8_t last = joined[length - 1];
        if (last == 'a' || last == 'o' || last == 'u') {
            skeleton++;
            added--;
        }
    }
    memcpy(joined + length, skeleton, added);
    return length + added;
}

/* Bytes of a skeleton without the longest inner ending that leaves three letters. */
static size_t stem_length(const sentence *s, const uint8_t *skeleton, size_t length)
{
    const thimble_strings *endings = &s->annotator->inflection->inner;
    const char *ending = endings->text;
    size_t longest = 0;
    for (uint8_t i = 0; i < endings->count; i++) {
        const size_t bytes = length_of(ending);
        if (bytes > longest && ends_with(skeleton, length, ending, bytes) &&
            count_letters(skeleton, length - bytes) >= FUZZY_LETTERS) {
            longest = bytes;
        }
        ending += bytes + 1;
    }
    return length - longest;
}

/* Bytes that two texts begin with, no part of a letter. */
static size_t common_bytes(const char *a, const char *b)
{
    size_t length = 0;
    while (a[length] && a[length] == b[length]) {
        length++;
    }
    while (length && ((uint8_t)a[length] & 0xC0) == 0x80) {
        length--;
    }
    return length;
}

/* Bytes of a skeleton before the longest ending of `stems` that changes none of the first three letters, and what
 * stands for that ending: both are the stem of a word that is declined. */
static size_t declined(const sentence *s, const uint8_t *skeleton, size_t length, const char **put)
{
    const thimble_strings *stems = &s->annotator->inflection->stems;
    const char *ending = stems->text;
    size_t longest = 0;
    *put = "";
    for (uint8_t i = 0; i < stems->count; i++) {
        const size_t bytes = length_of(ending);
        const char *replacement = ending + bytes + 1;
        if (bytes > longest && ends_with(skeleton, length, ending, bytes) &&
            count_letters(skeleton, length - bytes + common_bytes(ending, replacement)) >= FUZZY_LETTERS) {
            longest = bytes;
            *put = replacement;
        }
        ending = replacement + length_of(replacement) + 1;
    }
    return length - longest;
}

/* Whether two texts are equal, each with another behind it. */
static bool are_equal(const uint8_t *a, size_t a_length, const char *behind_a, const uint8_t *b, size_t b_length,
                      const char *behind_b)
{
    const size_t length = a_length + length_of(behind_a);
    if (length != b_length + length_of(behind_b)) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        const uint8_t of_a = i < a_length ? a[i] : (uint8_t)behind_a[i - a_length];
        const uint8_t of_b = i < b_length ? b[i] : (uint8_t)behind_b[i - b_length];
        if (of_a != of_b) {
            return false;
        }
    }
    return true;
}

/* Whether the ending may be taken off a last word: it is there, and it is not all of the word. */
static bool has_ending(const uint8_t *skeleton, size_t length, const char *ending, size_t bytes)
{
    return bytes == 0 || (bytes < length && ends_with(skeleton, length, ending, bytes));
}

thimble_name_words thimble_words_of_name(const thimble_vocabulary *names, uint16_t entry)
{
    const thimble_coded_names *coded = names->coded;
    if (coded) {
        return (thimble_name_words){coded->texts + coded->text_starts[entry],
                                    coded->texts + coded->text_starts[entry + 1], coded};
    }
    return (thimble_name_words){names->text + names->text_starts[entry], names->text + names->text_starts[entry + 1],
                                NULL};
}

const uint8_t *thimble_next_word(thimble_name_words *words, size_t *length)
{
    if (words->at == words->end) {
        return NULL;
    }
    if (words->coded) {
        uint16_t index = *words->at++;
        if (index & 0x80) {
            index = (uint16_t)((index & 0x7F) << 8 | *words->at++);
        }
        const uint16_t start = words->coded->word_starts[index];
        *length = (size_t)(words->coded->word_starts[index + 1] - start);
        return words->coded->words + start;
    }
    const uint8_t *word = words->at, *end = word;
    while (end < words->end && *end != ' ') {
        end++;
    }
    *length = (size_t)(end - word);
    words->at = end < words->end ? end + 1 : end;
    return word;
}

int thimble_compare_name(const thimble_vocabulary *names, uint16_t entry, const uint8_t *text, size_t length)
{
    thimble_name_words words = thimble_words_of_name(names, entry);
    const uint8_t *word;
    size_t bytes;
    bool is_first = true;
    if (!names->coded) {
        return compare(words.at, (size_t)(words.end - words.at), text, length);
    }
    while ((word = thimble_next_word(&words, &bytes)) != NULL) {
        if (!is_first) {
            if (!length || *text != ' ') {
                return length && *text > ' ' ? -1 : 1;
            }
            text++;
            length--;
        }
        is_first = false;
        const int order = memcmp(word, text, bytes < length ? bytes : length);
        if (order || bytes > length) {
            return order ? order : 1;
        }
        text += bytes;
        length -= bytes;
    }
    return length ? -1 : 0;
}

/* Writes words in cases; their bytes. */
static size_t write_cased(thimble_name_words words, uint32_t cases, uint8_t *to)
{
    const uint8_t *word;
    size_t bytes, length = 0;
    for (; (word = thimble_next_word(&words, &bytes)) != NULL; cases >>= 2) {
        if (length) {
            to[length++] = ' ';
        }
        for (size_t i = 0; i < bytes; i++) {
            const bool is_capital = (cases & 3) == THIMBLE_ALL_CAPITALS || ((cases & 3) && i == 0);
            to[length++] = is_capital && word[i] >= 'a' && word[i] <= 'z' ? word[i] - 'a' + 'A' : word[i];
        }
    }
    return length;
}

const uint8_t *thimble_value_of_name(const thimble_vocabulary *names, uint16_t entry, uint8_t *buffer, size_t *length)
{
    const uint16_t index = names->value_of[entry];
    const thimble_coded_names *coded = names->coded;
    if (!coded) {
        const bool is_own = index == THIMBLE_OWN_TEXT;
        const uint32_t *starts = is_own ? names->text_starts + entry : names->value_starts + index;
        *length = starts[1] - starts[0];
        return (is_own ? names->text : names->values) + starts[0];
    }
    if (index & THIMBLE_CASED) {
        *length = write_cased(thimble_words_of_name(names, entry), index & ~(uint32_t)THIMBLE_CASED, buffer);
        return buffer;
    }
    const uint8_t *value = coded->values + coded->value_starts[index];
    const uint8_t *end = coded->values + coded->value_starts[index + 1];
    if (*value == 0) {
        *length = (size_t)(end - value) - 1;
        return value + 1;
    }
    *length =
        write_cased((thimble_name_words){value + 2, end, coded}, (uint32_t)(value[0] & 0x7F) << 8 | value[1], buffer);
    return buffer;
}

static void read_name(const sentence *s, const thimble_vocabulary *names, uint32_t entry, name_forms *name)
{
    thimble_name_words words = thimble_words_of_name(names, (uint16_t)entry);
    const uint8_t *word;
    size_t length, made = 0, joined = 0;
    name->words = 0;
    while ((word = thimble_next_word(&words, &length)) != NULL) {
        const size_t bytes = make_skeleton(s, word, length, name->skeletons + made);
        joined = join(s->annotator, name->joined, joined, name->skeletons + made, bytes);
        name->starts[name->words++] = (uint16_t)made;
        made += bytes;
    }
    name->starts[name->words] = (uint16_t)made;
    name->length = (uint16_t)joined;
}

static const uint8_t *name_word(const name_forms *name, size_t index, size_t *length)
{
    *length = (size_t)(name->starts[index + 1] - name->starts[index]);
    return name->skeletons + name->starts[index];
}

/* The first in `by_skeleton` whose skeleton is not below the text; with `beyond`, that neither is it nor begins with
 * it. */
static uint16_t skeleton_from(const sentence *s, const thimble_vocabulary *names, const uint8_t *text, size_t length,
                              bool beyond)
{
    name_forms name;
    uint16_t low = 0, high = names->skeleton_count;
    while (low < high) {
        const uint16_t middle = (uint16_t)((low + high) / 2);
        read_name(s, names, names->by_skeleton[middle], &name);
        const size_t compared = beyond && name.length > length ? length : name.length;
        const int order = compare(name.joined, compared, text, length);
        if (order < 0 || (beyond && order == 0)) {
            low = (uint16_t)(middle + 1);
        } else {
            high = middle;
        }
    }
    return low;
}

/* The first entry with a skeleton, or NOTHING; of how many words its name is. */
static int32_t entry_of_skeleton(const sentence *s, const thimble_vocabulary *names, const uint8_t *skeleton,
                                 size_t length, uint8_t *num_words)
{
    const uint16_t at = skeleton_from(s, names, skeleton, length, false);
    if (at == names->skeleton_count) {
        return NOTHING;
    }
    name_forms name;
    read_name(s, names, names->by_skeleton[at], &name);
    *num_words = name.words;
    return compare(name.joined, name.length, skeleton, length) == 0 ? names->by_skeleton[at] : NOTHING;
}

static int32_t entry_of_text(const thimble_vocabulary *names, const uint8_t *text, size_t length)
{
    uint16_t low = 0, high = names->count;
    while (low < high) {
        const uint16_t middle = (uint16_t)((low + high) / 2);
        const int order = thimble_compare_name(names, names->by_text[middle], text, length);
        if (order == 0) {
            return names->by_text[middle];
        }
        if (order < 0) {
            low = (uint16_t)(middle + 1);
        } else {
            high = middle;
        }
    }
    return NOTHING;
}

static thimble_mark mark_of(const sentence *s, size_t layer, int32_t entry, size_t first, size_t end)
{
    const thimble_vocabulary *names = s->annotator->layers[layer];
    thimble_mark mark = {.kind = names->kinds[entry],
                         .first = (uint8_t)first,
                         .end = (uint8_t)end,
                         .entry = (uint16_t)entry,
                         .layer = (uint8_t)layer};
    return mark; /* its value comes when all marks are there */
}

/* Puts a mark at a position among the others. */
static bool insert(sentence *s, size_t position, const thimble_mark *mark)
{
    if (s->count == THIMBLE_MAX_MARKS) {
        return false;
    }
    memmove(s->marks + position + 1, s->marks + position, (s->count - position) * sizeof *mark);
    s->marks[position] = *mark;
    s->count++;
    return true;
}

/* Writes `length` bytes instead of the words' bytes from `start` to `end`, and moves the words from `word` on. */
static bool replace(thimble_words *words, size_t start, size_t end, const uint8_t *text, size_t length, size_t word)
{
    const size_t whole = words->length - (end - start) + length;
    if (whole > THIMBLE_MAX_WORDS_BYTES) {
        return false;
    }
    memmove(words->text + start + length, words->text + end, words->length - end);
    memcpy(words->text + start, text, length);
    for (size_t i = word; i < words->count; i++) {
        words->start[i] = (uint16_t)(words->start[i] + length - (end - start));
        words->end[i] = (uint16_t)(words->end[i] + length - (end - start));
    }
    words->length = (uint16_t)whole;
    return true;
}

static bool is_noun(const sentence *s, const uint8_t *text, size_t length)
{
    return has_hash(s->annotator->known, s->annotator->known_count, text, length);
}

/* Whether a word is one of the language that is no name in another form, whatever the templates say. */
static bool is_common(const sentence *s, size_t index)
{
    size_t length;
    const uint8_t *text = word_at(s, index, &length);
    return has_hash(s->annotator->common, s->annotator->common_count, text, length);
}

/* Skeletons of all words, and which are known. */
static void read_words(sentence *s)
{
    const thimble_annotator *annotator = s->annotator;
    size_t made = 0;
    for (size_t i = 0; i < s->words->count; i++) {
        size_t length;
        const uint8_t *text = word_at(s, i, &length);
        s->is_known[i] = is_noun(s, text, length) || has_hash(annotator->common, annotator->common_count, text, length);
        s->skeletons.start[i] = (uint16_t)made;
        made += make_skeleton(s, text, length, s->skeletons.text + made);
        s->skeletons.end[i] = (uint16_t)made;
    }
    s->skeletons.count = s->words->count;
    s->skeletons.length = (uint16_t)made;
}

static bool restore_words(sentence *s)
{
    for (size_t i = 0; i < s->words->count; i++) {
        if (s->is_known[i]) {
            continue;
        }
        size_t length;
        const uint8_t *skeleton = skeleton_at(s, i, &length);
        const uint8_t *restored = find_restored(s, skeleton, length, &length);
        if (!restored) {
            continue;
        }
        if (!replace(s->words, s->words->start[i], s->words->end[i], restored, length, i + 1)) {
            return false;
        }
        s->words->end[i] = (uint16_t)(s->words->start[i] + length);
    }
    read_words(s);
    return true;
}

/* Pass 1: names word for word, and quantities. */

/* The longest name that begins at a word and ends before `limit`. A clitic may hang on the last word unless that is
 * known. */
static bool find_exact(const sentence *s, size_t index, size_t limit, thimble_mark *mark)
{
    const thimble_strings *clitics = &s->annotator->inflection->clitics;
    const uint8_t *text = s->words->text + s->words->start[index];
    for (size_t end = limit; end > index; end--) {
        const size_t length = (size_t)(s->words->end[end - 1] - s->words->start[index]);
        const char *clitic = "", *next = clitics->text;
        for (size_t i = 0; i <= (s->is_known[end - 1] ? 0u : clitics->count); i++) {
            const size_t bytes = length_of(clitic);
            for (size_t layer = 0; layer < THIMBLE_LAYERS && ends_with(text, length, clitic, bytes); layer++) {
                const thimble_vocabulary *names = s->annotator->layers[layer];
                if (!names || end - index > names->max_words) {
                    continue;
                }
                const int32_t entry = entry_of_text(names, text, length - bytes);
                if (entry != NOTHING) {
                    *mark = mark_of(s, layer, entry, index, end);
                    return true;
                }
            }
            clitic = next;
            next += length_of(next) + 1;
        }
    }
    return false;
}

/* The longest quantity that begins at a word. */
static bool find_quantity(sentence *s, size_t index, thimble_mark *mark)
{
    thimble_quantity quantity;
    if (!thimble_quantity_at(s->annotator->quantities, &s->skeletons, (uint16_t)index, &quantity)) {
        return false;
    }
    *mark = (thimble_mark){.kind = s->annotator->quantity_kinds[quantity.kind],
                           .first = (uint8_t)index,
                           .end = (uint8_t)(index + quantity.count),
                           .is_quantity = 1,
                           .value = s->values + s->values_length,
                           .value_length = quantity.value_length};
    memcpy(mark->parts, quantity.parts, sizeof mark->parts);
    if (quantity.value_length <= THIMBLE_MAX_VALUES_BYTES - s->values_length) {
        memcpy(s->values + s->values_length, quantity.value, quantity.value_length);
    }
    return true;
}

static bool mark_exact(sentence *s)
{
    for (size_t index = 0; index < s->words->count;) {
        thimble_mark name, quantity;
        const bool is_name = find_exact(s, index, s->words->count, &name);
        const bool is_quantity = find_quantity(s, index, &quantity);
        if (!is_name && !is_quantity) {
            index++;
            continue;
        }
        const thimble_mark *mark = is_quantity && (!is_name || quantity.end > name.end) ? &quantity : &name;
        if (mark == &quantity) {
            s->values_length += quantity.value_length;
        }
        if (s->values_length > THIMBLE_MAX_VALUES_BYTES || !insert(s, s->count, mark)) {
            return false;
        }
        index = mark->end;
    }
    return true;
}

/* Pass 2: names in other forms. */

/* Whether words can be a name that is divided otherwise: not "an der" for "Ander". */
static bool may_join(const sentence *s, size_t index, size_t end)
{
    for (size_t i = index; i < end; i++) {
        size_t length;
        const uint8_t *text = word_at(s, i, &length);
        if (!s->is_known[i] || count_letters(text, length) >= TYPO_LETTERS) {
            return true;
        }
    }
    return end == index + 1;
}

/* Whether an entry has the words of a span, but for inner endings and the last word's ending of some bytes. */
static bool has_stems(const sentence *s, const name_forms *name, size_t index, size_t end, size_t ending)
{
    if (name->words != end - index) {
        return false;
    }
    for (size_t i = index; i < end; i++) {
        size_t said_length, length;
        const uint8_t *said = skeleton_at(s, i, &said_length), *word = name_word(name, i - index, &length);
        if (i + 1 == end) {
            said_length -= ending;
        } else {
            said_length = stem_length(s, said, said_length);
            length = stem_length(s, word, length);
        }
        if (compare(said, said_length, word, length) != 0) {
            return false;
        }
    }
    return true;
}

/* Whether the words of an entry have the stems of a span, or are these stems. */
static bool is_declined(const sentence *s, const name_forms *name, size_t index, size_t end)
{
    if (name->words != end - index) {
        return false;
    }
    for (size_t i = index; i < end; i++) {
        size_t said_length, length;
        const uint8_t *said = skeleton_at(s, i, &said_length), *word = name_word(name, i - index, &length);
        const char *said_put, *put;
        said_length = declined(s, said, said_length, &said_put);
        if (!are_equal(said, said_length, said_put, word, length, "")) {
            length = declined(s, word, length, &put);
            if (!are_equal(said, said_length, said_put, word, length, put)) {
                return false;
            }
        }
    }
    return true;
}

/* Entries of each layer whose skeletons begin as a span does. */
typedef struct {
    uint16_t low, high;
} range;

/* The first entry of a layer that a span is: with an ending of some bytes, or with all of its words declined. */
static int32_t find_stems(const sentence *s, size_t layer, const range *nearby, size_t index, size_t end, size_t ending,
                          bool all_declined)
{
    const thimble_vocabulary *names = s->annotator->layers[layer];
    int32_t first = NOTHING;
    for (uint16_t i = nearby[layer].low; i < nearby[layer].high; i++) {
        const int32_t entry = names->by_skeleton[i];
        name_forms name;
        read_name(s, names, (uint32_t)entry, &name);
        if ((first == NOTHING || entry < first) &&
            (all_declined ? is_declined(s, &name, index, end) : has_stems(s, &name, index, end, ending))) {
            first = entry;
        }
    }
    return first;
}

/* The name whose words have the stems of a span. */
static bool find_declined(const sentence *s, const range *nearby, size_t index, size_t end, thimble_mark *mark)
{
    for (size_t layer = 0; layer < THIMBLE_LAYERS && s->annotator->inflection->stems.count; layer++) {
        const int32_t entry = find_stems(s, layer, nearby, index, end, 0, true);
        if (entry != NOTHING) {
            *mark = mark_of(s, layer, entry, index, end);
            return true;
        }
    }
    return false;
}

/* The name that a span is, with an ending or without. */
static bool find_inflected(const sentence *s, const range *nearby, size_t index, size_t end, thimble_mark *mark)
{
    const thimble_inflection *inflection = s->annotator->inflection;
    size_t last_length;
    const uint8_t *last = skeleton_at(s, end - 1, &last_length);
    const size_t joined = s->ends[end - index];
    const int max_stems = end > index + 1 && inflection->inner.count ? 1 : 0;
    for (int stems = 0; stems <= max_stems; stems++) {
        const char *ending = "", *next = inflection->last.text;
        for (size_t i = 0; i <= inflection->last.count; i++) {
            const size_t bytes = length_of(ending);
            for (size_t layer = 0; layer < THIMBLE_LAYERS && has_ending(last, last_length, ending, bytes); layer++) {
                const thimble_vocabulary *names = s->annotator->layers[layer];
                if (nearby[layer].low == nearby[layer].high) {
                    continue;
                }
                uint8_t words = 0;
                const int32_t entry = stems ? find_stems(s, layer, nearby, index, end, bytes, false)
                                            : entry_of_skeleton(s, names, s->joined, joined - bytes, &words);
                if (entry == NOTHING || (!stems && words != end - index && !may_join(s, index, end))) {
                    continue;
                }
                *mark = mark_of(s, layer, entry, index, end);
                return true;
            }
            ending = next;
            next += length_of(next) + 1;
        }
    }
    return find_declined(s, nearby, index, end, mark);
}

/* The known word that may follow in a compound, with its accents; NULL: none. */
static const uint8_t *find_noun(const sentence *s, const uint8_t *text, size_t length, size_t *noun_length)
{
    *noun_length = length;
    if (is_noun(s, text, length)) {
        return text;
    }
    uint8_t skeleton[WORD_BYTES];
    const size_t bytes = make_skeleton(s, text, length, skeleton);
    const uint8_t *restored = find_restored(s, skeleton, bytes, noun_length);
    return restored && is_noun(s, restored, *noun_length) ? restored : NULL;
}

static bool find_in_compound(const sentence *s, const uint8_t *key, size_t length, size_t index, size_t end,
                             thimble_mark *mark)
{
    if (count_letters(key, length) < s->annotator->inflection->min_letters) {
        return false;
    }
    for (size_t layer = 0; layer < THIMBLE_LAYERS; layer++) {
        const thimble_vocabulary *names = s->annotator->layers[layer];
        uint8_t words;
        const int32_t entry = names ? entry_of_skeleton(s, names, key, length, &words) : NOTHING;
        if (entry != NOTHING) {
            *mark = mark_of(s, layer, entry, index, end);
            return true;
        }
    }
    return false;
}

/* The longest name that ends within the last word of a span, in front of a noun; where the noun begins in the word, 0:
 * none. Spans of fewer words do not need what it overwrites. */
static size_t find_compound(sentence *s, size_t index, size_t end, thimble_mark *mark)
{
    const thimble_inflection *inflection = s->annotator->inflection;
    size_t length, ignored;
    const uint8_t *text = word_at(s, end - 1, &length);
    if (s->is_known[end - 1] || count_letters(text, length) > MOST_LETTERS) {
        return 0;
    }
    for (size_t seam = length - 1; inflection->linking.count && seam > 0; seam--) {
        if ((text[seam] & 0xC0) == 0x80 || count_letters(text + seam, length - seam) < FUZZY_LETTERS ||
            !find_noun(s, text + seam, length - seam, &ignored)) {
            continue;
        }
        uint8_t part[WORD_BYTES];
        const size_t part_length = make_skeleton(s, text, seam, part);
        const size_t joined = join(s->annotator, s->joined, s->ends[end - index - 1], part, part_length);
        const char *letters = inflection->linking.text;
        for (uint8_t i = 0; i < inflection->linking.count; i++) {
            const size_t bytes = length_of(letters);
            if (ends_with(part, part_length, letters, bytes) &&
                find_in_compound(s, s->joined, joined - bytes, index, end, mark)) {
                return seam;
            }
            letters += bytes + 1;
        }
        letters = inflection->dropped.text;
        for (uint8_t i = 0; i < inflection->dropped.count && count_letters(s->joined, joined) >= FUZZY_LETTERS; i++) {
            const size_t bytes = length_of(letters);
            memcpy(s->joined + joined, letters, bytes);
            if (find_in_compound(s, s->joined, joined + bytes, index, end, mark)) {
                return seam;
            }
            letters += bytes + 1;
        }
    }
    return 0;
}

/* The spans that begin at a word: their skeletons, and of how many words the longest is. A name must reach into the
 * last word, so the words before must be shorter than the longest name. */
static size_t read_spans(sentence *s, size_t index, size_t limit)
{
    size_t longest = 0, spans = 0;
    for (size_t layer = 0; layer < THIMBLE_LAYERS; layer++) {
        if (s->annotator->layers[layer] && s->annotator->layers[layer]->longest > longest) {
            longest = s->annotator->layers[layer]->longest;
        }
    }
    s->ends[0] = 0;
    while (index + spans < limit && spans < SPAN_WORDS &&
           (spans == 0 || count_letters(s->joined, s->ends[spans]) < longest)) {
        size_t length;
        const uint8_t *skeleton = skeleton_at(s, index + spans, &length);
        s->ends[spans + 1] = (uint16_t)join(s->annotator, s->joined, s->ends[spans], skeleton, length);
        spans++;
    }
    return spans;
}

/* The longest name in another form that begins at a word; its last word is to be split at `seam` unless that is 0. */
static bool find_other_form(sentence *s, size_t index, size_t limit, thimble_mark *mark, size_t *seam)
{
    range nearby[THIMBLE_LAYERS] = {{0, 0}};
    const size_t spans = read_spans(s, index, limit);
    const size_t beginning = first_letters(s->joined, s->ends[spans], FUZZY_LETTERS);
    bool is_near = false;
    if (count_letters(s->joined, beginning) < FUZZY_LETTERS) {
        return false;
    }
    for (size_t layer = 0; layer < THIMBLE_LAYERS; layer++) {
        const thimble_vocabulary *names = s->annotator->layers[layer];
        if (!names) {
            continue;
        }
        nearby[layer].low = skeleton_from(s, names, s->joined, beginning, false);
        nearby[layer].high = skeleton_from(s, names, s->joined, beginning, true);
        is_near |= nearby[layer].low < nearby[layer].high;
    }
    for (size_t end = index + spans; is_near && end > index; end--) {
        *seam = 0;
        if (end == index + 1 && s->is_known[index]) {
            return !is_common(s, index) && find_declined(s, nearby, index, end, mark);
        }
        if (find_inflected(s, nearby, index, end, mark)) {
            return true;
        }
        *seam = find_compound(s, index, end, mark);
        if (*seam) {
            return true;
        }
    }
    return false;
}

/* Divides a word in two; marks from `position` on move by a word. Both parts have their share of the word's bytes in
 * the original, moved back to the beginning of a character. */
static bool split(sentence *s, size_t index, size_t seam, size_t position)
{
    thimble_words *words = s->words;
    if (words->count == THIMBLE_MAX_WORDS) {
        return false;
    }
    size_t length, noun_length;
    const uint8_t *text = word_at(s, index, &length);
    const uint8_t *noun = find_noun(s, text + seam, length - seam, &noun_length);
    const uint32_t from = words->from[index], to = words->to[index];
    size_t middle = from + (to - from) * (uint32_t)seam / (uint32_t)length;
    while (middle > from && (s->original[middle] & 0xC0) == 0x80) {
        middle--;
    }
    const size_t start = words->start[index] + seam, end = words->end[index];
    if (noun && noun != text + seam && !replace(words, start, end, noun, noun_length, index + 1)) {
        return false;
    }
    if (!replace(words, start, start, (const uint8_t *)" ", 1, index + 1)) {
        return false;
    }
    for (size_t i = words->count++; i > index + 1; i--) {
        words->start[i] = words->start[i - 1];
        words->end[i] = words->end[i - 1];
        words->from[i] = words->from[i - 1];
        words->to[i] = words->to[i - 1];
    }
    words->end[index] = (uint16_t)start;
    words->to[index] = (uint16_t)middle;
    words->start[index + 1] = (uint16_t)(start + 1);
    words->end[index + 1] = (uint16_t)(start + 1 + noun_length);
    words->from[index + 1] = (uint16_t)middle;
    words->to[index + 1] = (uint16_t)to;
    for (size_t i = position; i < s->count; i++) {
        s->marks[i].first++;
        s->marks[i].end++;
    }
    read_words(s);
    return true;
}

static int32_t mark_other_forms(sentence *s)
{
    size_t position = 0; /* of the first mark that is not before the word */
    for (size_t index = 0; index < s->words->count;) {
        if (position < s->count && s->marks[position].first == index) {
            index = s->marks[position++].end;
            continue;
        }
        size_t limit = position < s->count ? s->marks[position].first : s->words->count, seam = 0;
        thimble_mark mark;
        if (!find_other_form(s, index, limit, &mark, &seam)) {
            index++;
            continue;
        }
        if (seam && !split(s, mark.end - 1u, seam, position)) {
            return THIMBLE_TEXT_TOO_LONG;
        }
        if (!insert(s, position++, &mark)) {
            return THIMBLE_TEXT_HAS_TOO_MANY_MARKS;
        }
        index = mark.end;
        if (seam && find_exact(s, index, limit + 1, &mark)) {
            if (!insert(s, position++, &mark)) {
                return THIMBLE_TEXT_HAS_TOO_MANY_MARKS;
            }
            index = mark.end;
        }
    }
    return 0;
}

/* Pass 3: names with typos. */

/* The code points of well-formed UTF-8 of at most `room` letters; how many. */
static size_t read_letters(const uint8_t *text, size_t length, uint32_t *letters, size_t room)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++) {
        if ((text[i] & 0xC0) == 0x80) {
            letters[count - 1] = letters[count - 1] << 6 | (text[i] & 0x3Fu);
        } else if (count == room) {
            break;
        } else {
            letters[count++] = text[i] < 0x80 ? text[i]
                                              : text[i] & (text[i] < 0xE0   ? 0x1Fu
                                                           : text[i] < 0xF0 ? 0x0Fu
                                                                            : 0x07u);
        }
    }
    return count;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Letters to insert, delete, replace or swap with their neighbour (each letter once), or more than `max_edits`, which
 * is at most 2. */
static size_t edit_distance(const uint8_t *a, size_t a_length, const uint8_t *b, size_t b_length, size_t max_edits)
{
    enum { ROOM = MOST_LETTERS + 2 };
    uint32_t left[ROOM], right[ROOM];
    uint8_t rows[3][ROOM + 1];
    const size_t left_count = count_letters(a, a_length), right_count = count_letters(b, b_length);
    if (left_count > ROOM || right_count > ROOM || left_count > right_count + max_edits ||
        right_count > left_count + max_edits) {
        return max_edits + 1;
    }
    read_letters(a, a_length, left, ROOM);
    read_letters(b, b_length, right, ROOM);
    for (size_t j = 0; j <= right_count; j++) {
        rows[0][j] = (uint8_t)j;
    }
    for (size_t i = 1; i <= left_count; i++) {
        uint8_t *row = rows[i % 3];
        const uint8_t *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        size_t lowest = row[0] = (uint8_t)i;
        for (size_t j = 1; j <= right_count; j++) {
            size_t edits = least(least(last[j], row[j - 1]) + 1u, (size_t)last[j - 1] + (left[i - 1] != right[j - 1]));
            if (i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1]) {
                edits = least(edits, before[j - 2] + 1u);
            }
            row[j] = (uint8_t)edits;
            lowest = least(lowest, edits);
        }
        if (lowest > max_edits) {
            return max_edits + 1;
        }
    }
    return rows[left_count % 3][right_count];
}

/* A bit for each letter, by its code modulo 64. */
static uint64_t letter_set(const uint8_t *text, size_t length)
{
    uint64_t set = 0;
    for (size_t i = 0; i < length; i++) {
        /* The last byte of a character has the lowest bits of its code. */
        const bool is_last = (text[i] & 0xC0) == 0x80 && (i + 1 == length || (text[i + 1] & 0xC0) != 0x80);
        if (text[i] < 0x80 || is_last) {
            set |= (uint64_t)1 << (text[i] & 63);
        }
    }
    return set;
}

static size_t count_bits(uint64_t set)
{
    size_t bits = 0;
    for (; set; set &= set - 1) {
        bits++;
    }
    return bits;
}

static bool has_digits_of(const uint8_t *a, size_t a_length, const uint8_t *b, size_t b_length)
{
    size_t i = 0, j = 0;
    for (;; i++, j++) {
        while (i < a_length && (a[i] < '0' || a[i] > '9')) {
            i++;
        }
        while (j < b_length && (b[j] < '0' || b[j] > '9')) {
            j++;
        }
        if (i == a_length || j == b_length) {
            return i == a_length && j == b_length;
        }
        if (a[i] != b[j]) {
            return false;
        }
    }
}

static bool may_be_misspelt(const sentence *s, size_t index)
{
    return !s->is_known[index] && !s->is_marked[index];
}

/* Edits between a span and a name, or more than `max_edits`.
 *
 * Word by word where there are equally many: only words that are not known can be misspelt, short words and digits
 * cannot. Otherwise written together, which needs words that are all unknown and a name without short words. */
static size_t count_edits(const sentence *s, size_t index, size_t end, const name_forms *name, size_t max_edits)
{
    const size_t joined = s->ends[end - index], impossible = max_edits + 1;
    if (!has_digits_of(s->joined, joined, name->joined, name->length)) {
        return impossible;
    }
    size_t length, said_length, edits = 0;
    if (name->words != end - index) {
        for (size_t i = index; i < end; i++) {
            if (!may_be_misspelt(s, i)) {
                return impossible;
            }
        }
        for (size_t i = 0; i < name->words; i++) {
            const uint8_t *word = name_word(name, i, &length);
            if (count_letters(word, length) < TYPO_LETTERS) {
                return impossible;
            }
        }
        return edit_distance(s->joined, joined, name->joined, name->length, max_edits);
    }
    for (size_t i = index; i < end && edits <= max_edits; i++) {
        const uint8_t *said = skeleton_at(s, i, &said_length), *word = name_word(name, i - index, &length);
        if (compare(said, said_length, word, length) == 0) {
            continue;
        }
        const size_t first = first_letters(word, length, 1);
        if (!may_be_misspelt(s, i) || count_letters(word, length) < TYPO_LETTERS ||
            compare(said, first_letters(said, said_length, 1), word, first) != 0) {
            return impossible;
        }
        edits += edit_distance(said, said_length, word, length, max_edits);
    }
    return edits;
}

/* The letters that the skeleton of a text in ASCII has for certain; false: it is not in ASCII. */
static bool certain_letters(const thimble_vocabulary *names, uint16_t entry, size_t *length, uint64_t *set)
{
    thimble_name_words words = thimble_words_of_name(names, entry);
    const uint8_t *text = words.at;
    size_t bytes = (size_t)(words.end - words.at);
    uint64_t letters = 0;
    *length = 0;
    while (names->coded ? (text = thimble_next_word(&words, &bytes)) != NULL : *length == 0) {
        if (*length) {
            letters |= (uint64_t)1 << (' ' & 63);
            ++*length;
        }
        for (size_t i = 0; i < bytes; i++) {
            if (text[i] >= 0x80) {
                return false;
            }
            letters |= (uint64_t)1 << (text[i] & 63);
        }
        *length += bytes;
    }
    *set = letters & ~UNCERTAIN_LETTERS;
    return true;
}

/* The name that needs the fewest edits; of equals the longest span, then the earliest entry. */
static bool find_misspelt(sentence *s, size_t index, size_t limit, thimble_mark *mark)
{
    size_t first_length;
    const uint8_t *first = skeleton_at(s, index, &first_length);
    first_length = first_letters(first, first_length, 1);
    limit = least(limit, index + SPAN_WORDS);
    size_t least_end = index;
    while (least_end < limit && !may_be_misspelt(s, least_end)) {
        least_end++;
    }
    if (least_end == limit || first_length == 0) {
        return false;
    }
    struct {
        size_t letters;
        uint64_t set;
    } spans[SPAN_WORDS + 1];
    s->ends[0] = 0;
    for (size_t i = index; i < limit; i++) {
        size_t length;
        const uint8_t *skeleton = skeleton_at(s, i, &length);
        const size_t words = i - index + 1,
                     joined = join(s->annotator, s->joined, s->ends[words - 1], skeleton, length);
        s->ends[words] = (uint16_t)joined;
        spans[words].letters = count_letters(s->joined, joined);
        spans[words].set = letter_set(s->joined, joined);
    }
    size_t fewest = 3, best_end = 0;
    for (size_t layer = 0; layer < THIMBLE_LAYERS; layer++) {
        const thimble_vocabulary *names = s->annotator->layers[layer];
        if (!names) {
            continue;
        }
        int32_t best = NOTHING; /* of this layer */
        const uint16_t behind = skeleton_from(s, names, first, first_length, true);
        for (uint16_t i = skeleton_from(s, names, first, first_length, false); i < behind; i++) {
            const int32_t entry = names->by_skeleton[i];
            uint64_t certain = 0;
            size_t length;
            bool is_near = !certain_letters(names, (uint16_t)entry, &length, &certain);
            for (size_t words = limit - index; words > least_end - index && !is_near; words--) {
                is_near = length + 2 >= spans[words].letters &&
                          count_bits((spans[words].set & ~UNCERTAIN_LETTERS) ^ certain) <= 4;
            }
            if (!is_near) { /* as nearly all names, and most can be told without making the skeleton */
                continue;
            }
            name_forms name;
            read_name(s, names, (uint32_t)entry, &name);
            const size_t letters = count_letters(name.joined, name.length);
            const size_t max_edits = letters < LONG_LETTERS ? 1 : 2;
            const uint64_t set = letter_set(name.joined, name.length);
            if (letters < TYPO_LETTERS || letters > MOST_LETTERS) {
                continue;
            }
            for (size_t end = limit; end > least_end; end--) {
                const size_t said = spans[end - index].letters;
                /* An edit changes at most two letters of the set. */
                if (said > letters + max_edits || letters > said + max_edits ||
                    count_bits(set ^ spans[end - index].set) > 2 * max_edits) {
                    continue;
                }
                const size_t edits = count_edits(s, index, end, &name, max_edits);
                if (edits > max_edits || edits > fewest || (edits == fewest && end < best_end) ||
                    (edits == fewest && end == best_end && (best == NOTHING || best < entry))) {
                    continue;
                }
                fewest = edits;
                best_end = end;
                best = entry;
                *mark = mark_of(s, layer, entry, index, end);
            }
        }
    }
    return best_end > 0;
}

static bool mark_misspelt(sentence *s)
{
    memset(s->is_marked, 0, sizeof s->is_marked);
    for (size_t i = 0; i < s->count; i++) {
        for (size_t word = s->marks[i].first; word < s->marks[i].end; word++) {
            s->is_marked[word] = true;
        }
    }
    size_t position = 0;
    for (size_t index = 0; index < s->words->count;) {
        if (position < s->count && s->marks[position].first == index) {
            index = s->marks[position++].end;
            continue;
        }
        const size_t limit = position < s->count ? s->marks[position].first : s->words->count;
        thimble_mark mark;
        if (!find_misspelt(s, index, limit, &mark)) {
            index++;
            continue;
        }
        if (!insert(s, position++, &mark)) {
            return false;
        }
        index = mark.end;
    }
    return true;
}

size_t thimble_name_skeleton(const thimble_annotator *annotator, const thimble_vocabulary *names, uint16_t entry,
                             uint8_t *skeleton)
{
    uint8_t made[THIMBLE_MAX_NAME_BYTES];
    thimble_name_words words = thimble_words_of_name(names, entry);
    const uint8_t *word;
    size_t length, joined = 0;
    while ((word = thimble_next_word(&words, &length)) != NULL) {
        const size_t bytes = thimble_skeleton(annotator->normalizer, word, length, made);
        joined = join(annotator, skeleton, joined, made, bytes);
    }
    return joined;
}

/* What answers hold for the names. */
static bool read_values(sentence *s)
{
    for (size_t i = 0; i < s->count; i++) {
        thimble_mark *mark = &s->marks[i];
        if (mark->is_quantity) {
            continue;
        }
        uint8_t buffer[THIMBLE_CASED_BYTES];
        size_t length;
        mark->value = thimble_value_of_name(s->annotator->layers[mark->layer], mark->entry, buffer, &length);
        mark->value_length = (uint16_t)length;
        if (mark->value == buffer) {
            if (length > THIMBLE_MAX_VALUES_BYTES - s->values_length) {
                return false;
            }
            mark->value = memcpy(s->values + s->values_length, buffer, length);
            s->values_length += length;
        }
    }
    return true;
}

int32_t thimble_annotate(const thimble_annotator *annotator, const uint8_t *original, thimble_words *words,
                         thimble_mark *marks, uint8_t *values, thimble_annotation *work)
{
    memset(work, 0, sizeof *work);
    work->annotator = annotator;
    work->original = original;
    work->words = words;
    work->marks = marks;
    work->values = values;
    read_words(work);
    if (!restore_words(work)) {
        return THIMBLE_TEXT_TOO_LONG;
    }
    if (!mark_exact(work)) {
        return THIMBLE_TEXT_HAS_TOO_MANY_MARKS;
    }
    const int32_t error = mark_other_forms(work);
    if (error) {
        return error;
    }
    return mark_misspelt(work) && read_values(work) ? work->count : THIMBLE_TEXT_HAS_TOO_MANY_MARKS;
}
