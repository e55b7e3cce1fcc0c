#include "image.h"

#include <stddef.h>

#include "thimble_crc32.h"

/* "THMI": where post_link.py finds the record. */
__attribute__((section(".image"), used)) const uint32_t image_magic = 0x494D4854u;

static bool record_is_whole(void)
{
    const size_t head = offsetof(image_record, ranges) - offsetof(image_record, id);
    return thimble_crc32(0, image.id, head + image.num_ranges * sizeof(image_range)) == image.crc;
}

/* Member by member: all at once would be memset, 160 bytes that nothing else needs. */
void image_check_begin(image_check *check)
{
    check->broken = check->weights_crc = check->read = 0;
    check->range = check->at = check->crc = 0;
}

bool image_check_some(image_check *check, uint32_t count)
{
    if (check->read == 0 && !record_is_whole()) {
        check->broken = 1u << IMAGE_RECORD;
        return false;
    }
    const image_range *const range = &image.ranges[check->range];
    const uint32_t left = range->count - check->at, taken = count < left ? count : left;
    check->crc = thimble_crc32(check->crc, range->start + check->at, taken);
    check->read += taken;
    check->at += taken;
    if (taken < left) {
        return true;
    }
    if (check->crc != range->crc) {
        check->broken |= 1u << range->part;
    }
    if (check->range == 0) {
        check->weights_crc = check->crc;
    }
    check->at = check->crc = 0;
    return ++check->range < image.num_ranges;
}

uint32_t image_bytes(void)
{
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < image.num_ranges; i++) {
        bytes += image.ranges[i].count;
    }
    return bytes;
}
