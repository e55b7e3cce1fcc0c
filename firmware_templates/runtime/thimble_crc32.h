/* CRC-32 as zlib computes it (polynomial 0xEDB88320, reflected, inverted before and after). */
#ifndef THIMBLE_CRC32_H
#define THIMBLE_CRC32_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The checksum of `bytes` appended to what `crc` is the checksum of; start with 0. */
uint32_t thimble_crc32(uint32_t crc, const void *bytes, size_t count);

#ifdef __cplusplus
}
#endif

#endif
