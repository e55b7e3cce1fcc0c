#include "thimble.h"
#include "thimble_crc32.h"

bool thimble_is_intact(const thimble_model *model)
{
    uint32_t crc = 0;
    for (int32_t i = 0; i < model->data_count; i++) {
        crc = thimble_crc32(crc, model->data[i].start, model->data[i].bytes);
    }
    return crc == model->data_crc;
}
