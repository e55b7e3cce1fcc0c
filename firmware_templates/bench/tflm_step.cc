/* A decode step through TensorFlow Lite Micro. The caches stay empty: it computes over the whole context at every step, and
 * only SOFTMAX passes over columns whose scores lie far below the largest, which are the masked ones. */
#include <cstring>
#include <new>

extern "C" {
#include "device.h"
}
#include "model_data.h"
#include "tensorflow/lite/micro/cortex_m_generic/debug_log_callback.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

using Resolver = tflite::MicroMutableOpResolver<OPERATORS>;

alignas(16) static unsigned char arena[1536 * 1024];
alignas(16) static unsigned char interpreter_memory[sizeof(tflite::MicroInterpreter)];
alignas(16) static unsigned char resolver_memory[sizeof(Resolver)];

static tflite::MicroInterpreter *interpreter_in(const Resolver &resolver, size_t bytes)
{
    return new (interpreter_memory) tflite::MicroInterpreter(tflite::GetModel(g_model), resolver, arena, bytes);
}

/* An interpreter in the smallest arena that does, to a KB: beside what it uses in the end, planning the memory takes some. */
static tflite::MicroInterpreter *allocate(const Resolver &resolver, size_t *bytes)
{
    RegisterDebugLogCallback(print_text);
    tflite::MicroInterpreter *made = interpreter_in(resolver, sizeof arena);
    if (made->AllocateTensors() != kTfLiteOk) {
        end_with("TensorFlow Lite Micro refuses the model");
    }
    RegisterDebugLogCallback(nullptr);
    for (*bytes = made->arena_used_bytes() + 16; *bytes < sizeof arena; *bytes += 1024) {
        made = interpreter_in(resolver, *bytes);
        if (made->AllocateTensors() == kTfLiteOk) {
            RegisterDebugLogCallback(print_text);
            return made;
        }
    }
    end_with("the model takes all of the arena");
    return nullptr;
}

static void fill_inputs(tflite::MicroInterpreter *interpreter, int32_t position)
{
    for (size_t i = 0; i < interpreter->inputs_size(); i++) {
        TfLiteTensor *input = interpreter->input(i);
        std::memset(input->data.raw, input->params.zero_point, input->bytes);
    }
    interpreter->input(TOKEN_INPUT)->data.i32[0] = TOKEN;
    interpreter->input(POSITION_INPUT)->data.i32[0] = position;
}

/* FNV-1a of the logits, 31 bits of it. */
static int32_t hash_of_logits(tflite::MicroInterpreter *interpreter)
{
    const TfLiteTensor *logits = interpreter->output(LOGITS_OUTPUT);
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < logits->bytes; i++) {
        hash = (hash ^ logits->data.uint8[i]) * 16777619u;
    }
    return static_cast<int32_t>(hash & 0x7fffffffu);
}

extern "C" void measure(void)
{
    static const int32_t fills[3] = {0, CONTEXT / 2, CONTEXT - 1};
    auto *resolver = new (resolver_memory) Resolver();
    add_operators(*resolver);
    size_t bytes;
    tflite::MicroInterpreter *interpreter = allocate(*resolver, &bytes);
    for (int i = 0; i < 3; i++) {
        fill_inputs(interpreter, fills[i]);
        count_start();
        const TfLiteStatus status = interpreter->Invoke();
        const uint32_t ticks = count_ticks();
        if (status != kTfLiteOk) {
            end_with("TensorFlow Lite Micro does not run the model");
        }
        print_row("step", fills[i], static_cast<int32_t>(bytes), ticks, 1);
        print_row("logits", fills[i], hash_of_logits(interpreter), 0, 1);
    }
}
