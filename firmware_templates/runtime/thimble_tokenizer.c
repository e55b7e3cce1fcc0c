#include "thimble_tokenizer.h"

#include "thimble_utf8.h"

#define NO_RANK 0xFFFFu

/* Where `wanted` is in an ascending table, or -1. */
static int32_t find(const uint32_t *table, uint32_t count, uint32_t wanted)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (table[middle] < wanted) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < count && table[low] == wanted ? (int32_t)low : -1;
}

/* Where the pair of an id and the one behind it is among the merges, or -1. */
static int32_t merge_at(const thimble_tokenizer *tokenizer, const uint16_t *ids)
{
    return find(tokenizer->merge_pairs, tokenizer->merge_count, (uint32_t)ids[0] << 16 | ids[1]);
}

static uint16_t rank_of(const thimble_tokenizer *tokenizer, const uint16_t *ids)
{
    const int32_t at = merge_at(tokenizer, ids);
    return at >= 0 ? tokenizer->merge_ranks[at] : NO_RANK;
}

/* Merges neighbours in a run of `count` ids, the pair of the lowest rank first and of equals the first of them, until
 * no pair has a rank; returns how many remain. Of the `capacity` places those behind the run keep ranks of pairs, that
 * of the first pair in the last place: where they are too few, the ranks of the other pairs are looked up each time. */
static size_t merge_word(const thimble_tokenizer *tokenizer, uint16_t *ids, size_t count, size_t capacity)
{
    uint16_t *const ranks = ids + capacity - 1;
    size_t kept = 0; /* pairs whose ranks are there */
    while (count > 1) {
        uint16_t best_rank = NO_RANK;
        size_t best = 0;
        for (; kept + 1 < count && kept < capacity - count; kept++) {
            *(ranks - kept) = rank_of(tokenizer, ids + kept);
        }
        for (size_t i = 0; i + 1 < count; i++) {
            const uint16_t rank = i < kept ? *(ranks - i) : rank_of(tokenizer, ids + i);
            if (rank < best_rank) {
                best_rank = rank;
                best = i;
            }
        }
        if (best_rank == NO_RANK) {
            break;
        }
        ids[best] = tokenizer->merge_ids[merge_at(tokenizer, ids + best)];
        count--;
        for (size_t i = best + 1; i < count; i++) {
            ids[i] = ids[i + 1];
        }
        if (best < kept) {
            kept--;
        }
        for (size_t i = best; i < kept; i++) {
            *(ranks - i) = *(ranks - i - 1);
        }
        for (size_t i = best ? best - 1 : 0; i <= best && i < kept && i + 1 < count; i++) {
            *(ranks - i) = rank_of(tokenizer, ids + i);
        }
    }
    return count;
}

void thimble_fold(const thimble_tokenizer *tokenizer, uint8_t *text, size_t length)
{
    if (!tokenizer->folds) {
        return;
    }
    uint8_t before = 0;
    for (size_t i = 0; i < length; i++) {
        uint8_t byte = text[i];
        const bool is_latin = before == 0xC3 && byte >= 0x80 && byte <= 0x9E && byte != 0x97;
        if ((byte >= 'A' && byte <= 'Z') || is_latin) {
            text[i] = (uint8_t)(byte + 0x20);
        }
        before = byte;
    }
}

static bool is_white(uint32_t code)
{
    return code == ' ' || code == '\t' || code == '\n' || code == '\r';
}

/* Whether a character begins a word, `before` the one that it follows. */
static bool begins_word(const thimble_tokenizer *tokenizer, uint32_t before, uint32_t code)
{
    if (!tokenizer->words) {
        return false;
    }
    return tokenizer->space_runs ? is_white(code) && !is_white(before) : code == ' ';
}

/* What lower case adds to a character, and to the last of its bytes. */
static uint32_t added_by_folding(uint32_t code)
{
    const bool is_upper = (code >= 'A' && code <= 'Z') || (code >= 0xC0 && code <= 0xDE && code != 0xD7);
    return is_upper ? 0x20 : 0;
}

static uint16_t id_of_byte(const thimble_tokenizer *tokenizer, uint8_t byte)
{
    return tokenizer->byte_ids ? tokenizer->byte_ids[byte] : (uint16_t)(tokenizer->byte_base + byte);
}

/* Goes on behind `count` ids, which the first word may merge with. */
static int32_t encode_behind(const thimble_tokenizer *tokenizer, bool folds, const uint8_t *text, size_t length,
                             uint16_t *ids, size_t count, size_t capacity)
{
    size_t word = 0;          /* the word's first id */
    size_t word_end = length; /* bytes that are left where the word ends, if rules cut the text */
    uint32_t code = 0;
    while (length) {
        const uint32_t before = code;
        size_t size = thimble_read_character(text, length, &code);
        if (size == 0) {
            return THIMBLE_TEXT_NOT_UTF8;
        }
        const uint32_t added = folds ? added_by_folding(code) : 0;
        code += added;
        const bool is_cut = tokenizer->word_length && length == word_end;
        if (is_cut) {
            word_end = length - tokenizer->word_length(tokenizer->word_rules, text, length);
        }
        if (is_cut || begins_word(tokenizer, before, code)) {
            count = word + merge_word(tokenizer, ids + word, count - word, capacity - word);
            word = count;
        }
        int32_t known = find(tokenizer->characters, tokenizer->character_count, code);
        if (capacity - count < (known >= 0 ? 1 : size)) {
            return THIMBLE_TEXT_TOO_LONG;
        }
        if (known >= 0) {
            ids[count++] = tokenizer->character_ids[known];
        } else {
            for (size_t i = 0; i < size; i++) {
                ids[count++] = id_of_byte(tokenizer, (uint8_t)(text[i] + (i + 1 == size ? added : 0)));
            }
        }
        text += size;
        length -= size;
    }
    return (int32_t)(word + merge_word(tokenizer, ids + word, count - word, capacity - word));
}

static int32_t encode_text(const thimble_tokenizer *tokenizer, bool folds, const uint8_t *text, size_t length,
                           uint16_t *ids, size_t capacity)
{
    size_t count = 0; /* ids written */
    if (length) {
        if (capacity < tokenizer->prefix_count) {
            return THIMBLE_TEXT_TOO_LONG;
        }
        for (; count < tokenizer->prefix_count; count++) {
            ids[count] = tokenizer->prefix[count];
        }
    }
    return encode_behind(tokenizer, folds, text, length, ids, count, capacity);
}

int32_t thimble_encode(const thimble_tokenizer *tokenizer, const uint8_t *text, size_t length, uint16_t *ids,
                       size_t capacity)
{
    return encode_text(tokenizer, false, text, length, ids, capacity);
}

int32_t thimble_encode_word(const thimble_tokenizer *tokenizer, const uint8_t *word, size_t length, uint16_t *ids,
                            size_t capacity)
{
    if (capacity == 0) {
        return THIMBLE_TEXT_TOO_LONG;
    }
    const int32_t space = find(tokenizer->characters, tokenizer->character_count, ' ');
    ids[0] = space >= 0 ? tokenizer->character_ids[space] : id_of_byte(tokenizer, ' ');
    return encode_behind(tokenizer, false, word, length, ids, 1, capacity);
}

int32_t thimble_encode_prompt(const thimble_tokenizer *tokenizer, const uint8_t *text, size_t length, uint16_t *ids,
                              size_t capacity)
{
    const size_t around = 1u + tokenizer->suffix_count;
    if (capacity < around) {
        return THIMBLE_TEXT_TOO_LONG;
    }
    const int32_t count = encode_text(tokenizer, tokenizer->folds, text, length, ids + 1, capacity - around);
    if (count < 0) {
        return count;
    }
    ids[0] = tokenizer->bos;
    for (size_t i = 0; i < tokenizer->suffix_count; i++) {
        ids[1 + (size_t)count + i] = tokenizer->suffix[i];
    }
    return count + (int32_t)around;
}

bool thimble_stops(const thimble_tokenizer *tokenizer, int32_t id)
{
    for (size_t i = 0; i < tokenizer->stop_count; i++) {
        if (tokenizer->stops[i] == id) {
            return true;
        }
    }
    return false;
}

const uint8_t *thimble_piece(const thimble_tokenizer *tokenizer, int32_t before, int32_t id, size_t *length)
{
    if (id < 0 || id >= tokenizer->vocab_size) {
        *length = 0;
        return tokenizer->pieces;
    }
    const uint8_t *piece = tokenizer->pieces + tokenizer->piece_starts[id];
    *length = (size_t)(tokenizer->piece_starts[id + 1] - tokenizer->piece_starts[id]);
    if (tokenizer->bare_start && before == tokenizer->bos && *length > 0 && *piece == ' ') {
        *length -= 1;
        piece++;
    }
    return piece;
}
