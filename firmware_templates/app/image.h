/* The image as it was linked: what lies where in flash, with checksums that cmake/post_link.py writes behind the
 * linker.
 */
#ifndef THIMBLE_IMAGE_H
#define THIMBLE_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

/* What a range holds; IMAGE_RECORD is the record below, which is in no range. */
typedef enum { IMAGE_WEIGHTS, IMAGE_TABLES, IMAGE_CODE, IMAGE_DATA, IMAGE_RECORD, IMAGE_PARTS } image_part;

typedef struct {
    const uint8_t *start;
    uint32_t count; /* bytes */
    uint32_t part;  /* an image_part */
    uint32_t crc;   /* CRC-32 of the bytes */
} image_range;

/* Laid out by board/link.ld. Together the ranges are all that is loaded: code, constants, weights, and the initial
 * values of variables. */
typedef struct {
    uint32_t magic;
    uint32_t crc; /* CRC-32 of all that follows here */
    char id[20];  /* 16 hexadecimal digits of the image's digest, and zeros */
    uint32_t num_ranges;
    image_range ranges[]; /* the first one is the weights' */
} image_record;

extern const image_record image;

/* A look at the image, part by part. */
typedef struct {
    uint32_t broken;      /* bit 1 << part of each part that is not as it was linked, as far as it was read */
    uint32_t weights_crc; /* the checksum that the weights have now; 0 until they were read */
    uint32_t read;        /* bytes of the ranges */
    uint32_t range, at, crc;
} image_check;

void image_check_begin(image_check *check);

/* Reads up to `count` > 0 further bytes; false: that was all. Where the record itself is broken nothing else is read.
 */
bool image_check_some(image_check *check, uint32_t count);

/* Bytes of all ranges. */
uint32_t image_bytes(void);

#endif
