/* Cuts power at every moment while values are written one after the other into a flash that is memory, and reads what
 * is there then. main PAGE PAGES UNIT SEED: prints how often the old and how often the new value was found, or what is
 * wrong; tests/emulated/test_store_in_c.py reads it. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "thimble_store.h"

enum { MOST = 1 << 14, ROUNDS = 6 };

static uint8_t memory[MOST];
static thimble_flash flash;
static jmp_buf power_fails;
static long left;        /* programmed bytes and erased pages until power fails; below 0: it does not */
static long deaf = -1;   /* offset of a byte that cannot be programmed; below 0: there is none */
static uint32_t garbage; /* what a page is that was being erased: 0 as before, 1 half erased, else random */

static uint32_t random_word(void)
{
    static uint32_t state = 1;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

static void refuse(const char *what)
{
    printf("%s\n", what);
    exit(1);
}

static bool spend(void)
{
    return left < 0 || left-- > 0;
}

static bool erase(uint32_t offset)
{
    if (offset % flash.page_bytes || offset >= 2 * flash.slot_bytes) {
        refuse("erased what is no page");
    }
    if (!spend()) {
        if (garbage == 1) {
            memset(memory + offset, 0xFF, flash.page_bytes / 2);
        }
        for (uint32_t i = 0; garbage > 1 && i < flash.page_bytes; i++) {
            memory[offset + i] = (uint8_t)random_word();
        }
        longjmp(power_fails, 1);
    }
    memset(memory + offset, 0xFF, flash.page_bytes);
    return true;
}

static bool program(uint32_t offset, const uint8_t *bytes, size_t count)
{
    if (offset % flash.unit_bytes || count % flash.unit_bytes || offset + count > 2 * flash.slot_bytes) {
        refuse("programmed what are no units");
    }
    for (size_t i = 0; i < count; i++) {
        if (!spend()) {
            longjmp(power_fails, 1);
        }
        if (memory[offset + i] != 0xFF) {
            refuse("programmed what is not erased");
        }
        if ((long)(offset + i) != deaf) {
            memory[offset + i] = bytes[i];
        }
    }
    return true;
}

/* A value that a number makes, of any length that fits; its length. */
static size_t make(uint32_t number, uint8_t *bytes)
{
    const size_t capacity = thimble_store_capacity(&flash);
    const size_t length = number % 5 == 0 ? capacity : number * 37 % (capacity + 1);
    for (size_t i = 0; i < length; i++) {
        bytes[i] = (uint8_t)(number * 31 + i * 7 + (i >> 8));
    }
    return length;
}

static bool is_value(uint32_t number)
{
    static uint8_t expected[MOST];
    const uint8_t *found;
    size_t length;
    if (!thimble_store_read(&flash, &found, &length)) {
        return number == 0;
    }
    return number && length == make(number, expected) && memcmp(found, expected, length) == 0;
}

static bool write(uint32_t number)
{
    static uint8_t bytes[MOST];
    thimble_store_writer writer;
    const size_t length = make(number, bytes);
    thimble_store_begin(&writer, &flash);
    for (size_t at = 0; at < length;) {
        size_t count = number * 13 % 61 + 1; /* in pieces of any size */
        count = count < length - at ? count : length - at;
        thimble_store_put(&writer, bytes + at, count);
        at += count;
    }
    return thimble_store_end(&writer);
}

/* Writes a value with so much power; whether it was enough. */
static bool write_until_power_fails(uint32_t number, long power, uint32_t how)
{
    left = power;
    garbage = how;
    if (setjmp(power_fails)) {
        left = -1;
        return false;
    }
    if (!write(number)) {
        refuse("a value was not written");
    }
    left = -1;
    return true;
}

int main(int count, char **words)
{
    static uint8_t before[MOST];
    if (count != 5) {
        return 2;
    }
    flash = (thimble_flash){memory, 0, (uint32_t)atoi(words[1]), (uint32_t)atoi(words[3]), erase, program};
    flash.slot_bytes = flash.page_bytes * (uint32_t)atoi(words[2]);
    const uint32_t seed = (uint32_t)atoi(words[4]);
    unsigned long counts[2] = {0, 0}; /* of old values, of new ones */
    for (size_t i = 0; i < sizeof memory; i++) {
        memory[i] = seed % 2 ? (uint8_t)random_word() : 0xFF; /* flash as it was found */
    }
    for (uint32_t round = 0; round < ROUNDS; round++) {
        const uint32_t old = round ? seed + round : 0 /* none yet */, new = seed + round + 1;
        memcpy(before, memory, sizeof memory);
        for (uint32_t how = 0; how < 3; how++) {
            bool is_done = false, was_new = false;
            for (long stop = 0; !is_done; stop++) {
                memcpy(memory, before, sizeof memory);
                is_done = write_until_power_fails(new, stop, how);
                const bool is_new = is_value(new);
                if (!is_new && !is_value(old)) {
                    refuse("neither the old nor the new value");
                }
                if (was_new && !is_new) {
                    refuse("the old value after the new one");
                }
                if (is_done && !is_new) {
                    refuse("what was written is not there");
                }
                was_new = is_new;
                counts[is_new]++;
                /* The next write begins wherever this one stopped. */
                if (!write(seed + 1000) || !is_value(seed + 1000)) {
                    refuse("nothing can be written after a loss of power");
                }
            }
        }
        for (deaf = 0; deaf < 2 * (long)flash.slot_bytes; deaf++) {
            memcpy(memory, before, sizeof memory);
            if (!is_value(write(new) ? new : old)) {
                refuse("a byte that was not programmed was not noticed");
            }
        }
        deaf = -1;
        memcpy(memory, before, sizeof memory);
        if (!write(new)) {
            refuse("a value was not written");
        }
        for (uint32_t i = 0; i < 2 * flash.slot_bytes; i++) {
            memory[i] ^= (uint8_t)(1u << i % 8);
            if (!is_value(new) && !is_value(old) && !is_value(0)) {
                refuse("a value with a bit that is wrong");
            }
            memory[i] ^= (uint8_t)(1u << i % 8);
        }
    }
    printf("%lu old, %lu new\n", counts[0], counts[1]);
    return 0;
}
