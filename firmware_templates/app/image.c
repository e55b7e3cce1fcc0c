#include "image.h"

#include <stddef.h>

#include "thimble_crc32.h"

/* "THMI": where post_link.py finds the record. */
__attribute__((section(".image"), used)) const uint32_t image_magic = 0x494D4854u;

uint32_t image_broken_parts(uint32_t *weights_crc)
{
    const size_t head = offsetof(image_record, ranges) - offsetof(image_record, id);
    *weights_crc = 0;
    if (thimble_crc32(0, image.id, head + image.num_ranges * sizeof(image_range)) != image.crc) {
        return 1u << IMAGE_RECORD;
    }
    uint32_t broken = 0;
    for (uint32_t i = 0; i < image.num_ranges; i++) {
        const image_range *range = &image.ranges[i];
        const uint32_t crc = thimble_crc32(0, range->start, range->count);
        if (crc != range->crc) {
            broken |= 1u << range->part;
        }
        if (i == 0) {
            *weights_crc = crc;
        }
    }
    return broken;
}
