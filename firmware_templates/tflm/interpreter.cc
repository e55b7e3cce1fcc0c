/* One decode step is one Invoke. The interpreter's plan reuses the memory of its inputs, so the caches have a place of their
 * own and are copied in before every step; what the step adds to them is copied out after it. */
#include "model.h"

#include <cstddef>
#include <cstring>
#include <new>

#include "model_operators.h"
#include "tensorflow/lite/micro/cortex_m_generic/debug_log_callback.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_profiler_interface.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {

constexpr int32_t kAlignment = 16;

alignas(16) unsigned char interpreter_memory[sizeof(tflite::MicroInterpreter)];
alignas(16) unsigned char operators_memory[sizeof(ModelOperators)];
const ModelOperators *operators;
tflite::MicroInterpreter *interpreter;
char log_text[160];
size_t log_length;

void keep_log(const char *text)
{
    while (*text && log_length < sizeof log_text - 1) {
        log_text[log_length++] = *text++;
    }
}

#ifdef THIMBLE_PROFILE
extern "C" void thimble_profile_mark(uint32_t layer);

/* Marks every operator as a layer. Libraries of the build type `release` do not call it. */
class Marks : public tflite::MicroProfilerInterface {
public:
    uint32_t BeginEvent(const char *) override
    {
        thimble_profile_mark(next_);
        return next_++;
    }
    void EndEvent(uint32_t) override {}
    void Begin() { next_ = 0; }
    void End() { thimble_profile_mark(THIMBLE_MODEL_LAYERS); }

private:
    uint32_t next_ = 0;
    TF_LITE_REMOVE_VIRTUAL_DELETE
};
Marks *profiler;
alignas(8) unsigned char profiler_memory[sizeof(Marks)];
#define PROFILER profiler
#else
#define PROFILER nullptr
#endif

bool make(int8_t *arena, int32_t bytes)
{
    if (operators == nullptr) {
        auto *made = new (operators_memory) ModelOperators();
        add_operators(*made);
        operators = made;
#ifdef THIMBLE_PROFILE
        profiler = new (profiler_memory) Marks();
#endif
    }
    interpreter = new (interpreter_memory) tflite::MicroInterpreter(
        tflite::GetModel(g_model), *operators, reinterpret_cast<uint8_t *>(arena), static_cast<size_t>(bytes), nullptr,
        PROFILER);
    return interpreter->AllocateTensors() == kTfLiteOk;
}

void put_number(int32_t input, int32_t number) { interpreter->input(static_cast<size_t>(input))->data.i32[0] = number; }

/* The cosines and sines of a position that no table holds. */
void put_turn(const thimble_interpreter_plan &plan, int32_t position)
{
    TfLiteTensor *rotation = interpreter->input(static_cast<size_t>(plan.rotation));
    if (rotation->type == kTfLiteInt16) {
        thimble_turn_s16(plan.turn, position, rotation->data.i16);
    } else {
        thimble_turn_s8(plan.turn, position, rotation->data.int8);
    }
}

int8_t *row_of(int8_t *cache, const thimble_interpreter_cache &one, int32_t head, int32_t slot)
{
    return cache + one.offset + head * one.head_bytes + slot * one.row_bytes;
}

} // namespace

/* There is no heap; destructors that nothing calls name it. */
extern "C" void *_sbrk(ptrdiff_t);
extern "C" void *_sbrk(ptrdiff_t) { return reinterpret_cast<void *>(-1); }

bool thimble_interpreter_start(int8_t *arena)
{
    RegisterDebugLogCallback(keep_log);
    if (!make(arena, thimble_the_plan.arena_bytes)) {
        interpreter = nullptr;
    }
    return interpreter != nullptr;
}

const void *thimble_interpreter_step(int8_t *cache, int8_t *, const int32_t *tokens, int32_t, int32_t position, int32_t)
{
    const thimble_interpreter_plan &plan = thimble_the_plan;
    int32_t slot = position, mask_row = position;
    if (plan.slots != nullptr) {
        slot = plan.slots[position];
    } else if (plan.turn != nullptr) {
        if (position >= plan.rows) {
            const int32_t around = (position - plan.rows) % (plan.rows - plan.sinks);
            slot = plan.sinks + around;
            mask_row = plan.rows + around;
        }
        put_turn(plan, position);
    }
    put_number(plan.token, tokens[0]);
    put_number(plan.position, mask_row);
    for (const thimble_interpreter_cache *one = plan.caches; one != plan.caches + plan.cache_count; one++) {
        for (int32_t head = 0; head < one->heads; head++) {
            std::memset(row_of(cache, *one, head, slot), one->zero_point, static_cast<size_t>(one->row_bytes));
        }
        const size_t bytes = static_cast<size_t>(one->heads * one->head_bytes);
        std::memcpy(interpreter->input(static_cast<size_t>(one->input))->data.raw, cache + one->offset, bytes);
    }
#ifdef THIMBLE_PROFILE
    profiler->Begin();
#endif
    if (interpreter->Invoke() != kTfLiteOk) {
        return nullptr;
    }
#ifdef THIMBLE_PROFILE
    profiler->End();
#endif
    for (const thimble_interpreter_cache *one = plan.caches; one != plan.caches + plan.cache_count; one++) {
        const char *made = interpreter->output(static_cast<size_t>(one->output))->data.raw;
        for (int32_t head = 0; head < one->heads; head++) {
            std::memcpy(row_of(cache, *one, head, slot), made + head * one->row_bytes, static_cast<size_t>(one->row_bytes));
        }
    }
    return interpreter->output(static_cast<size_t>(plan.logits))->data.raw;
}

int32_t thimble_interpreter_used(void) { return static_cast<int32_t>(interpreter->arena_used_bytes()); }

int32_t thimble_interpreter_smallest(int8_t *arena)
{
    const int32_t most = thimble_the_plan.arena_bytes;
    /* Below what it uses in the end its kernels may stop the program; above, only planning can fail, and says so. */
    int32_t low = thimble_interpreter_used() / kAlignment, high = most / kAlignment;
    RegisterDebugLogCallback(nullptr);
    while (low < high) {
        const int32_t middle = (low + high) / 2;
        if (make(arena, middle * kAlignment)) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    thimble_interpreter_start(arena);
    return high * kAlignment;
}

const char *thimble_interpreter_log(void) { return log_text; }
