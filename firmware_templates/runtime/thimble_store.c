#include "thimble_store.h"

#include <string.h>

#include "thimble_crc32.h"

/* The header: magic number, sequence, length and CRC-32 of the value, CRC-32 of these; the rest is as erased. */
enum { MAGIC = 0x534D4854, SEQUENCE_AT = 4, LENGTH_AT = 8, VALUE_CRC_AT = 12, HEADER_CRC_AT = 16, ERASED = 0xFF };

static uint32_t word_at(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static void put_word(uint8_t *bytes, uint32_t value)
{
    for (int i = 0; i < 4; i++, value >>= 8) {
        bytes[i] = (uint8_t)value;
    }
}

size_t thimble_store_capacity(const thimble_flash *flash)
{
    return flash->slot_bytes > THIMBLE_STORE_HEADER_BYTES ? flash->slot_bytes - THIMBLE_STORE_HEADER_BYTES : 0;
}

/* Whether a slot holds a value. */
static bool is_whole(const thimble_flash *flash, uint32_t slot)
{
    const uint8_t *header = flash->start + slot;
    const uint32_t length = word_at(header + LENGTH_AT);
    return word_at(header) == (uint32_t)MAGIC && length <= thimble_store_capacity(flash) &&
           word_at(header + HEADER_CRC_AT) == thimble_crc32(0, header, HEADER_CRC_AT) &&
           word_at(header + VALUE_CRC_AT) == thimble_crc32(0, header + THIMBLE_STORE_HEADER_BYTES, length);
}

/* The slot of the present value and its sequence; false: there is none. Of two the later counts, also where the
 * sequence has begun anew. */
static bool present(const thimble_flash *flash, uint32_t *slot, uint32_t *sequence)
{
    const uint32_t second = flash->slot_bytes;
    const bool has_first = is_whole(flash, 0), has_second = is_whole(flash, second);
    const uint32_t of_first = word_at(flash->start + SEQUENCE_AT);
    const uint32_t of_second = word_at(flash->start + second + SEQUENCE_AT);
    const bool is_second = has_second && (!has_first || of_second - of_first < 0x80000000u);
    *slot = is_second ? second : 0;
    *sequence = is_second ? of_second : of_first;
    return has_first || has_second;
}

bool thimble_store_read(const thimble_flash *flash, const uint8_t **value, size_t *length)
{
    uint32_t slot, sequence;
    if (!present(flash, &slot, &sequence)) {
        return false;
    }
    *value = flash->start + slot + THIMBLE_STORE_HEADER_BYTES;
    *length = word_at(flash->start + slot + LENGTH_AT);
    return true;
}

void thimble_store_begin(thimble_store_writer *writer, const thimble_flash *flash)
{
    uint32_t slot, sequence;
    const bool is_there = present(flash, &slot, &sequence);
    *writer = (thimble_store_writer){
        .flash = flash,
        .slot = is_there && slot == 0 ? flash->slot_bytes : 0,
        .sequence = is_there ? sequence + 1 : 0,
        .is_good = true,
    };
    for (uint32_t at = 0; at < flash->slot_bytes && writer->is_good; at += flash->page_bytes) {
        writer->is_good = flash->erase(writer->slot + at);
    }
}

void thimble_store_put(thimble_store_writer *writer, const uint8_t *bytes, size_t count)
{
    const thimble_flash *flash = writer->flash;
    if (count > thimble_store_capacity(flash) - writer->length) {
        writer->is_good = false;
    }
    for (size_t i = 0; i < count && writer->is_good; i++) {
        const uint32_t in_unit = writer->length % flash->unit_bytes;
        writer->unit[in_unit] = bytes[i];
        writer->length++;
        if (in_unit + 1 == flash->unit_bytes) {
            const uint32_t at = writer->slot + THIMBLE_STORE_HEADER_BYTES + writer->length - flash->unit_bytes;
            writer->is_good = flash->program(at, writer->unit, flash->unit_bytes);
        }
    }
    writer->crc = thimble_crc32(writer->crc, bytes, count);
}

bool thimble_store_end(thimble_store_writer *writer)
{
    const thimble_flash *flash = writer->flash;
    const uint32_t length = writer->length, crc = writer->crc;
    while (writer->is_good && writer->length % flash->unit_bytes) {
        thimble_store_put(writer, &(const uint8_t){ERASED}, 1);
    }
    uint8_t *header = writer->unit;
    memset(header, ERASED, THIMBLE_STORE_HEADER_BYTES);
    put_word(header, (uint32_t)MAGIC);
    put_word(header + SEQUENCE_AT, writer->sequence);
    put_word(header + LENGTH_AT, length);
    put_word(header + VALUE_CRC_AT, crc);
    put_word(header + HEADER_CRC_AT, thimble_crc32(0, header, HEADER_CRC_AT));
    return writer->is_good && flash->program(writer->slot, header, THIMBLE_STORE_HEADER_BYTES) &&
           is_whole(flash, writer->slot);
}
