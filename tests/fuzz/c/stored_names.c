/* Flash that holds anything where names are kept: as it is, or as a value whose checksums are right. What is restored
 * from it can be stored, and is the same then. */
#include <stdlib.h>
#include <string.h>

#include "answer_tables.h"
#include "thimble_stored_names.h"
#include "vocabulary_tables.h"

enum { SLOT_BYTES = 1024, PAGE_BYTES = 256, NAMES_BYTES = 700 };

static uint8_t flash_bytes[2 * SLOT_BYTES];

static void require(bool holds)
{
    if (!holds) {
        __builtin_trap();
    }
}

static bool erase(uint32_t offset)
{
    memset(flash_bytes + offset, 0xFF, PAGE_BYTES);
    return true;
}

static bool program(uint32_t offset, const uint8_t *bytes, size_t count)
{
    require(offset + count <= sizeof flash_bytes);
    memcpy(flash_bytes + offset, bytes, count);
    return true;
}

static const thimble_flash flash = {flash_bytes, SLOT_BYTES, PAGE_BYTES, 4, erase, program};

static void restore(thimble_names *names, void *memory)
{
    static thimble_words words;
    thimble_names_init(names, memory, NAMES_BYTES);
    (void)thimble_names_restore(names, &thimble_model_annotator, &thimble_model_answers, &flash, &words);
    require(thimble_names_used(names) <= NAMES_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size) {
        return 0;
    }
    memset(flash_bytes, 0xFF, sizeof flash_bytes);
    if (data[0] & 1) {
        memcpy(flash_bytes, data + 1, size - 1 < sizeof flash_bytes ? size - 1 : sizeof flash_bytes);
    } else {
        thimble_store_writer writer;
        thimble_store_begin(&writer, &flash);
        thimble_store_put(&writer, data + 1, size - 1);
        (void)thimble_store_end(&writer);
    }
    void *memory = malloc(NAMES_BYTES), *other = malloc(NAMES_BYTES);
    thimble_names names, again;
    restore(&names, memory);
    if (thimble_names_store(&names, &thimble_model_answers, &flash)) {
        require(thimble_names_are_stored(&names, &thimble_model_answers, &flash));
        restore(&again, other);
        require(again.vocabulary.count == names.vocabulary.count);
        require(thimble_names_are_stored(&again, &thimble_model_answers, &flash));
    }
    free(memory);
    free(other);
    return 0;
}
