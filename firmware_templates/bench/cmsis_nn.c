/* CMSIS-NN's int8 fully-connected kernel, through its public function. */
#include "device.h"

#include "arm_nnfunctions.h"

static _Alignas(16) int8_t weights[DEPTH * ROWS], x[DEPTH], out[ROWS];
static int32_t bias[ROWS];

void measure(void)
{
    for (int32_t i = 0; i < DEPTH * ROWS; i++) {
        weights[i] = (int8_t)draw();
    }
    for (int32_t i = 0; i < DEPTH; i++) {
        x[i] = (int8_t)draw();
    }
    const cmsis_nn_context context = {0, 0};
    const cmsis_nn_fc_params params = {
        .input_offset = 3, .filter_offset = 0, .output_offset = -5, .activation = {-128, 127}};
    const cmsis_nn_per_tensor_quant_params scale = {.multiplier = 1518500250, .shift = -9};
    const cmsis_nn_dims in = {1, 1, 1, DEPTH}, filter = {DEPTH, 1, 1, ROWS}, biases = {1, 1, 1, ROWS},
                        outs = {1, 1, 1, ROWS};
    count_start();
    for (int32_t i = 0; i < 20; i++) {
        (void)arm_fully_connected_s8(&context, &params, &scale, &in, x, &filter, weights, &biases, bias, &outs, out);
    }
    print_row("cmsis_nn", DEPTH, ROWS, count_ticks(), 20);
}
