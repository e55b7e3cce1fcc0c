#include "thimble.h"

thimble_status thimble_init(thimble_context *context, const thimble_model *model, void *memory, size_t bytes)
{
    if (!memory || (uintptr_t)memory % 4 != 0 || bytes < (size_t)model->cache_bytes + (size_t)model->arena_bytes) {
        return THIMBLE_BAD_MEMORY;
    }
    context->arena = memory;
    if (model->start && !model->start(context->arena)) {
        return THIMBLE_BAD_MEMORY;
    }
    context->model = model;
    context->cache = context->arena + model->arena_bytes;
    thimble_reset(context);
    return THIMBLE_OK;
}

void thimble_reset(thimble_context *context)
{
    const thimble_model *model = context->model;
    for (int32_t number = 0; number < model->cache_parts; number++) {
        const thimble_cache_part *const part = &model->cache[number];
        for (int32_t i = 0; i < part->bytes; i++) {
            context->cache[part->offset + i] = part->zero_point;
        }
    }
    context->position = 0;
}

int32_t thimble_rewind(thimble_context *context, int32_t position)
{
    const thimble_model *model = context->model;
    if (model->cache_parts || (model->window && context->position > model->window)) {
        thimble_reset(context);
    } else {
        context->position = position;
    }
    return context->position;
}

thimble_status thimble_step(thimble_context *context, int32_t token, const void **logits)
{
    return thimble_prefill(context, &token, 1, logits);
}

thimble_status thimble_prefill(thimble_context *context, const int32_t *tokens, size_t count, const void **logits)
{
    return thimble_take(context, tokens, count, THIMBLE_ALL_LOGITS, logits);
}

thimble_status thimble_take(thimble_context *context, const int32_t *tokens, size_t count, thimble_wanted wanted,
                            const void **logits)
{
    const thimble_model *model = context->model;
    if (count == 0) {
        return THIMBLE_NO_TOKENS;
    }
    for (size_t i = 0; i < count; i++) {
        if ((uint32_t)tokens[i] >= (uint32_t)model->vocab) {
            return THIMBLE_BAD_TOKEN;
        }
    }
    const int32_t end = model->window == model->context ? INT32_MAX : model->context;
    const int32_t whole = model->window ? model->window : end;
    if (count > (size_t)(end - context->position)) {
        return THIMBLE_CONTEXT_FULL;
    }
    for (int32_t left = (int32_t)count; left > 0;) {
        /* Past the window a token takes a row that the one before it still sees: one at a time. */
        const int32_t room = whole - context->position > 1 ? whole - context->position : 1;
        const int32_t most = model->block < room ? model->block : room;
        const int32_t taken = left < most ? left : most;
        left -= taken;
        const thimble_wanted now = left == 0 ? wanted : THIMBLE_NO_LOGITS;
        *logits = model->step(context->cache, context->arena, tokens, taken, context->position, (int32_t)now);
        if (now != THIMBLE_NO_LOGITS && !*logits) {
            return THIMBLE_FAILED;
        }
        context->position += taken;
        tokens += taken;
    }
    return THIMBLE_OK;
}

void thimble_logits(const thimble_context *context, int32_t first, int32_t last)
{
    const thimble_model *model = context->model;
    const int32_t end = (last | 3) + 1;
    if (model->logits) {
        model->logits(context->arena, first & ~3, (end < model->vocab ? end : model->vocab) - (first & ~3));
    }
}

static int32_t best_s8(const int8_t *logits, int32_t vocab)
{
    int32_t best = 0;
    for (int32_t i = 1; i < vocab; i++) {
        if (logits[i] > logits[best]) {
            best = i;
        }
    }
    return best;
}

static int32_t best_s16(const int16_t *logits, int32_t vocab)
{
    int32_t best = 0;
    for (int32_t i = 1; i < vocab; i++) {
        if (logits[i] > logits[best]) {
            best = i;
        }
    }
    return best;
}

int32_t thimble_sample_greedy(const thimble_model *model, const void *logits)
{
    return model->logit_bytes == 2 ? best_s16(logits, model->vocab) : best_s8(logits, model->vocab);
}
