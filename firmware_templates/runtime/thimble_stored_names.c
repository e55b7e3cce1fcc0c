#include "thimble_stored_names.h"

#include <string.h>

/* A record is the length of a text and the text, the length of its value in two bytes, the low one first, and the
 * value. A length of 0 stands before the length of a kind's name and that name:
 * the kind of the names that follow. */
enum { LENGTH_BYTES = 2 };

/* What takes the bytes of the records, in pieces. */
typedef struct sink {
    void (*take)(struct sink *sink, const void *bytes, size_t count);
    thimble_store_writer *writer;
    const uint8_t *stored; /* to compare with */
    size_t count;
    bool is_same;
} sink;

static void put_bytes(sink *to, const void *bytes, size_t count)
{
    thimble_store_put(to->writer, bytes, count);
}

static void count_bytes(sink *to, const void *bytes, size_t count)
{
    (void)bytes;
    to->count += count;
}

/* Of as many bytes as are stored. */
static void compare_bytes(sink *to, const void *bytes, size_t count)
{
    to->is_same = to->is_same && memcmp(to->stored + to->count, bytes, count) == 0;
    to->count += count;
}

static void take_length(sink *to, size_t length)
{
    to->take(to, &(const uint8_t){(uint8_t)length}, 1);
}

static void take_records(const thimble_names *names, const thimble_answers *answers, sink *to)
{
    const thimble_vocabulary *all = &names->vocabulary;
    int32_t kind = -1;
    for (uint16_t i = 0; i < all->count; i++) {
        if (all->kinds[i] != kind) {
            kind = all->kinds[i];
            size_t length;
            const uint8_t *name = thimble_kind_name(answers, all->kinds[i], &length);
            take_length(to, 0);
            take_length(to, length);
            to->take(to, name, length);
        }
        thimble_name_words words = thimble_words_of_name(all, i);
        const uint8_t *word;
        size_t bytes, text_length = 0;
        while (thimble_next_word(&words, &bytes)) {
            text_length += bytes + (text_length > 0);
        }
        take_length(to, text_length);
        words = thimble_words_of_name(all, i);
        for (const char *between = ""; (word = thimble_next_word(&words, &bytes)) != NULL; between = " ") {
            to->take(to, between, strlen(between));
            to->take(to, word, bytes);
        }
        uint8_t buffer[THIMBLE_CASED_BYTES];
        const uint8_t *value = thimble_value_of_name(all, i, buffer, &bytes);
        to->take(to, &(const uint8_t[]){(uint8_t)bytes, (uint8_t)(bytes >> 8)}, LENGTH_BYTES);
        to->take(to, value, bytes);
    }
}

size_t thimble_names_stored_bytes(const thimble_names *names, const thimble_answers *answers)
{
    sink to = {.take = count_bytes};
    take_records(names, answers, &to);
    return to.count;
}

bool thimble_names_are_stored(const thimble_names *names, const thimble_answers *answers, const thimble_flash *flash)
{
    size_t length;
    sink to = {.take = compare_bytes, .is_same = true};
    if (!thimble_store_read(flash, &to.stored, &length)) {
        return names->vocabulary.count == 0;
    }
    if (length != thimble_names_stored_bytes(names, answers)) {
        return false;
    }
    take_records(names, answers, &to);
    return to.is_same;
}

bool thimble_names_store(const thimble_names *names, const thimble_answers *answers, const thimble_flash *flash)
{
    if (thimble_names_are_stored(names, answers, flash)) {
        return true;
    }
    if (thimble_names_stored_bytes(names, answers) > thimble_store_capacity(flash)) {
        return false;
    }
    thimble_store_writer writer;
    sink to = {.take = put_bytes, .writer = &writer};
    thimble_store_begin(&writer, flash);
    take_records(names, answers, &to);
    return thimble_store_end(&writer);
}

/* The next bytes of what is stored; NULL where there are no more. */
static const uint8_t *next(const uint8_t **at, const uint8_t *end, size_t count)
{
    const uint8_t *bytes = *at;
    if (count > (size_t)(end - bytes)) {
        return NULL;
    }
    *at += count;
    return bytes;
}

size_t thimble_names_restore(thimble_names *names, const thimble_annotator *annotator, const thimble_answers *answers,
                             const thimble_flash *flash, thimble_words *words)
{
    const uint8_t *at, *length;
    size_t bytes, left_out = 0;
    int32_t kind = -1;
    if (!thimble_store_read(flash, &at, &bytes)) {
        return 0;
    }
    const uint8_t *const end = at + bytes;
    while ((length = next(&at, end, 1)) != NULL) {
        if (*length == 0) {
            length = next(&at, end, 1);
            const uint8_t *name = length ? next(&at, end, *length) : NULL;
            if (!name) {
                break;
            }
            kind = thimble_kind_of(answers, name, *length);
            continue;
        }
        const uint8_t *text = next(&at, end, *length), *of_value = text ? next(&at, end, LENGTH_BYTES) : NULL;
        if (!of_value) {
            break;
        }
        const size_t value_length = (size_t)of_value[0] | (size_t)of_value[1] << 8;
        const uint8_t *value = next(&at, end, value_length);
        if (!value) {
            break;
        }
        left_out += kind < 0 || thimble_names_add(names, annotator, (uint8_t)kind, value, value_length, text, *length,
                                                  words) != THIMBLE_NAME_KNOWN;
    }
    return left_out;
}
