/* Products with weights in blocks of four rows and 4 columns. */
#define BLOCK_COLUMNS 4
#include "thimble_blocks.h"

void thimble_fully_connected_blocks4_s8(const thimble_fully_connected_blocks_s8_params *p, const int32_t *x,
                                        int8_t *out)
{
    multiply(p->stream, x, out, p->out_zero_point);
}
