/* The image as it was linked: what lies where in flash, with checksums that cmake/post_link.py writes behind the
 * linker.
 */
#ifndef THIMBLE_IMAGE_H
#define THIMBLE_IMAGE_H

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

/* Reads the whole image. Bit 1 << part is set for each part that is not as it was linked; `weights_crc` gets the
 * checksum that the weights have now. Where the record itself is broken nothing else is read, and that is 0. */
uint32_t image_broken_parts(uint32_t *weights_crc);

#endif
