/* The naive baseline: the same network in float32, written as llama2.c's forward pass. Sizes come as macros. */
#include "device.h"

#include <math.h>
#include <string.h>

#define HEAD (DIM / HEADS)
#define KV (HEAD * KV_HEADS)
#define LAYER_FLOATS (2 * DIM + DIM * DIM + 2 * DIM * KV + DIM * DIM + (GATED ? 3 : 2) * DIM * HIDDEN)

static float embedding[VOCAB * DIM], layers[LAYERS * LAYER_FLOATS], last_norm[DIM];
static float keys[LAYERS * CONTEXT * KV], values[LAYERS * CONTEXT * KV];
static float x[DIM], h[DIM], wide[HIDDEN], gate[HIDDEN], q[DIM], scores[CONTEXT], logits[VOCAB];

static void rmsnorm(float *out, const float *in, const float *weight)
{
    float sum = 0.0f;
    for (int i = 0; i < DIM; i++) {
        sum += in[i] * in[i];
    }
    const float scale = 1.0f / sqrtf(sum / DIM + 1e-5f);
    for (int i = 0; i < DIM; i++) {
        out[i] = weight[i] * (scale * in[i]);
    }
}

static void softmax(float *row, int count)
{
    float largest = row[0], sum = 0.0f;
    for (int i = 1; i < count; i++) {
        largest = row[i] > largest ? row[i] : largest;
    }
    for (int i = 0; i < count; i++) {
        row[i] = expf(row[i] - largest);
        sum += row[i];
    }
    for (int i = 0; i < count; i++) {
        row[i] /= sum;
    }
}

static void matmul(float *out, const float *in, const float *weights, int depth, int rows)
{
    for (int i = 0; i < rows; i++) {
        float sum = 0.0f;
        for (int j = 0; j < depth; j++) {
            sum += weights[i * depth + j] * in[j];
        }
        out[i] = sum;
    }
}

static void rotate(float *head, int position)
{
    for (int i = 0; i < HEAD; i += 2) {
        const float angle = (float)position / powf(10000.0f, (float)i / (float)HEAD);
        const float c = cosf(angle), s = sinf(angle), a = head[i], b = head[i + 1];
        head[i] = a * c - b * s;
        head[i + 1] = a * s + b * c;
    }
}

static void attend(int layer, int position)
{
    for (int head = 0; head < HEADS; head++) {
        const float *query = q + head * HEAD;
        const int at = head / (HEADS / KV_HEADS) * HEAD;
        for (int t = 0; t <= position; t++) {
            const float *key = keys + (layer * CONTEXT + t) * KV + at;
            float score = 0.0f;
            for (int i = 0; i < HEAD; i++) {
                score += query[i] * key[i];
            }
            scores[t] = score / sqrtf((float)HEAD);
        }
        softmax(scores, position + 1);
        float *out = h + head * HEAD;
        memset(out, 0, HEAD * sizeof(float));
        for (int t = 0; t <= position; t++) {
            const float *value = values + (layer * CONTEXT + t) * KV + at;
            for (int i = 0; i < HEAD; i++) {
                out[i] += scores[t] * value[i];
            }
        }
    }
}

static void forward(int token, int position)
{
    memcpy(x, embedding + token * DIM, sizeof x);
    const float *w = layers;
    for (int layer = 0; layer < LAYERS; layer++) {
        float *key = keys + (layer * CONTEXT + position) * KV, *value = values + (layer * CONTEXT + position) * KV;
        rmsnorm(h, x, w);
        w += DIM;
        matmul(q, h, w, DIM, DIM);
        w += DIM * DIM;
        matmul(key, h, w, DIM, KV);
        w += DIM * KV;
        matmul(value, h, w, DIM, KV);
        w += DIM * KV;
        if (ROTARY) {
            for (int head = 0; head < HEADS; head++) {
                rotate(q + head * HEAD, position);
            }
            for (int head = 0; head < KV_HEADS; head++) {
                rotate(key + head * HEAD, position);
            }
        }
        attend(layer, position);
        matmul(q, h, w, DIM, DIM);
        w += DIM * DIM;
        for (int i = 0; i < DIM; i++) {
            x[i] += q[i];
        }
        rmsnorm(h, x, w);
        w += DIM;
        matmul(wide, h, w, DIM, HIDDEN);
        w += DIM * HIDDEN;
        if (GATED) {
            matmul(gate, h, w, DIM, HIDDEN);
            w += DIM * HIDDEN;
            for (int i = 0; i < HIDDEN; i++) {
                wide[i] *= gate[i] / (1.0f + expf(-gate[i]));
            }
        } else {
            for (int i = 0; i < HIDDEN; i++) {
                wide[i] = wide[i] > 0.0f ? wide[i] : 0.0f;
            }
        }
        matmul(h, wide, w, HIDDEN, DIM);
        w += DIM * HIDDEN;
        for (int i = 0; i < DIM; i++) {
            x[i] += h[i];
        }
    }
    rmsnorm(h, x, last_norm);
    matmul(logits, h, embedding, DIM, VOCAB);
}

static void fill(float *at, int count)
{
    for (int i = 0; i < count; i++) {
        at[i] = (float)((int32_t)(draw() % 2001) - 1000) * 1e-4f;
    }
}

void measure(void)
{
    static const int fills[3] = {0, CONTEXT / 2, CONTEXT - 1};
    fill(embedding, VOCAB * DIM);
    fill(layers, LAYERS * LAYER_FLOATS);
    fill(last_norm, DIM);
    for (int i = 0; i < 3; i++) {
        for (int position = i ? fills[i - 1] + 1 : 0; position < fills[i]; position++) {
            forward((int)(draw() % VOCAB), position);
        }
        count_start();
        forward((int)(draw() % VOCAB), fills[i]);
        print_row("step", fills[i], 0, count_ticks(), 1);
    }
}
