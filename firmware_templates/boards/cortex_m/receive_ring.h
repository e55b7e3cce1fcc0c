/* Bytes that were received and not read yet, in a ring between an interrupt that writes and a thread that reads. */
#ifndef THIMBLE_RECEIVE_RING_H
#define THIMBLE_RECEIVE_RING_H

#include <stdbool.h>
#include <stdint.h>

#define RECEIVE_RING_BYTES 256

/* Stands for lost bytes; a received byte of this value, which no request holds, is kept as its neighbour. */
#define RECEIVE_RING_LOST 0xFFu

/* The indices run freely and wrap with their type; `in` is the interrupt's, `out` the thread's. */
typedef struct {
    volatile uint8_t bytes[RECEIVE_RING_BYTES];
    volatile uint8_t in, out;
} receive_ring;

static inline bool receive_ring_is_empty(const receive_ring *ring)
{
    return ring->in == ring->out;
}

/* Whether a byte can be kept. One place more stays free for the mark of lost bytes, so that no byte, a line's end least
 * of all, ever makes way for it. */
static inline bool receive_ring_has_room(const receive_ring *ring)
{
    return (uint8_t)(ring->out - ring->in - 1) >= 2;
}

static inline void receive_ring_append(receive_ring *ring, uint8_t byte)
{
    ring->bytes[ring->in] = byte;
    ring->in = (uint8_t)(ring->in + 1);
}

/* Only where there is room. */
static inline void receive_ring_keep(receive_ring *ring, uint8_t byte)
{
    receive_ring_append(ring, byte == RECEIVE_RING_LOST ? RECEIVE_RING_LOST - 1 : byte);
}

/* Marks that bytes were lost behind those that were kept; once, however often they are. */
static inline void receive_ring_mark_lost(receive_ring *ring)
{
    if (receive_ring_is_empty(ring) || ring->bytes[(uint8_t)(ring->in - 1)] != RECEIVE_RING_LOST) {
        receive_ring_append(ring, RECEIVE_RING_LOST);
    }
}

/* The next byte; only where the ring is not empty. */
static inline uint8_t receive_ring_take(receive_ring *ring)
{
    uint8_t byte = ring->bytes[ring->out];
    ring->out = (uint8_t)(ring->out + 1);
    return byte;
}

#endif
