/* A decode step through TensorFlow Lite Micro. The caches stay empty: its cost does not depend on what they hold, since it
 * computes over the whole context at every step. */
#include <cstring>

extern "C" {
#include "device.h"
}
#include "model_data.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

alignas(16) static unsigned char arena[512 * 1024];
alignas(16) static unsigned char interpreter_memory[sizeof(tflite::MicroInterpreter)];
alignas(16) static unsigned char resolver_memory[sizeof(tflite::MicroMutableOpResolver<OPERATORS>)];

static void fill_inputs(tflite::MicroInterpreter *interpreter, int32_t position)
{
    for (size_t i = 0; i < interpreter->inputs_size(); i++) {
        TfLiteTensor *input = interpreter->input(i);
        std::memset(input->data.raw, input->type == kTfLiteInt8 ? input->params.zero_point : 0, input->bytes);
    }
    interpreter->input(TOKEN_INPUT)->data.i32[0] = 5;
    interpreter->input(POSITION_INPUT)->data.i32[0] = position;
}

extern "C" void measure(void)
{
    static const int32_t fills[3] = {0, CONTEXT / 2, CONTEXT - 1};
    auto *resolver = new (resolver_memory) tflite::MicroMutableOpResolver<OPERATORS>();
    add_operators(*resolver);
    const tflite::Model *model = tflite::GetModel(g_model);
    auto *interpreter = new (interpreter_memory) tflite::MicroInterpreter(model, *resolver, arena, sizeof arena);
    if (interpreter->AllocateTensors() != kTfLiteOk) {
        return;
    }
    for (int i = 0; i < 3; i++) {
        fill_inputs(interpreter, fills[i]);
        count_start();
        interpreter->Invoke();
        print_row("step", fills[i], static_cast<int32_t>(interpreter->arena_used_bytes()), count_ticks(), 1);
    }
}
