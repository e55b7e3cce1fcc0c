#include "thimble_helium.h"
#include "thimble_kernels.h"

void thimble_table_s8(const int8_t *table, thimble_operand in, int8_t *out, int32_t out_stride, int32_t rows,
                      int32_t columns)
{
    for (int32_t row = 0; row < rows; row++) {
        const int8_t *x = in.data + row * in.row_stride;
        int8_t *y = out + row * out_stride;
#ifdef THIMBLE_HELIUM
        for (int32_t column = 0; in.step == 1 && column < columns; column += 16) {
            const int8x16_t values = thimble_load_16(x + column, columns - column);
            thimble_store_16(y + column, thimble_look_up_16(table, values), columns - column);
        }
        if (in.step == 1) {
            continue;
        }
#endif
        for (int32_t column = 0; column < columns; column++, x += in.step) {
            *y++ = table[*x + 128];
        }
    }
}
