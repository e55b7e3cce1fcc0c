/* One value that outlives a loss of power, in two slots of flash that take turns.
 *
 * A new value is written into the slot that does not hold the present one: its pages are erased, the value is
 * programmed, and last of all a header with the checksums of the value and of itself. A slot whose checksums are not
 * right holds nothing. So what is read after power was lost, at whatever moment, is the value before or the new one,
 * never a mix. */
#ifndef THIMBLE_STORE_H
#define THIMBLE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of a slot's header, and the most that `unit_bytes` may be. */
enum { THIMBLE_STORE_HEADER_BYTES = 32 };

/* What a board gives: two slots of flash, one behind the other, and what changes them. Both functions return whether
 * it was done; offsets count from `start`. */
typedef struct {
    const uint8_t *start;                                                 /* where the first slot is read */
    uint32_t slot_bytes;                                                  /* of each, whole pages */
    uint32_t page_bytes;                                                  /* what is erased at once */
    uint32_t unit_bytes;                                                  /* what is programmed at once: 1, 2, 4 … 32 */
    bool (*erase)(uint32_t offset);                                       /* the page there */
    bool (*program)(uint32_t offset, const uint8_t *bytes, size_t count); /* whole units of an erased page */
} thimble_flash;

/* A value that is being written. */
typedef struct {
    const thimble_flash *flash;
    uint32_t slot;     /* offset of the one that is written */
    uint32_t sequence; /* of the value */
    uint32_t length;   /* of what was put so far */
    uint32_t crc;      /* of it */
    bool is_good;      /* so far */
    uint8_t unit[THIMBLE_STORE_HEADER_BYTES];
} thimble_store_writer;

/* The present value, which stays where it is until the next but one is begun; false: there is none. */
bool thimble_store_read(const thimble_flash *flash, const uint8_t **value, size_t *length);

/* Bytes that a value may have. */
size_t thimble_store_capacity(const thimble_flash *flash);

/* Begins a new value: erases the slot that does not hold the present one. */
void thimble_store_begin(thimble_store_writer *writer, const thimble_flash *flash);

/* Puts bytes behind those that were put before. */
void thimble_store_put(thimble_store_writer *writer, const uint8_t *bytes, size_t count);

/* Makes it the present value; false: it was too long, or the flash did not do what it was told, and the value before is
 * still the present one. */
bool thimble_store_end(thimble_store_writer *writer);

#ifdef __cplusplus
}
#endif

#endif
