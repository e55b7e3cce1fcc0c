#include "harness.h"

typedef void appending(const thimble_attention_s8_params *p, const int8_t *k, const int8_t *v, int8_t *k_cache,
                       int8_t *v_cache, int32_t position, int32_t tokens);
typedef void attending(const thimble_attention_s8_params *p, const int8_t *q, const int8_t *k_cache,
                       const int8_t *v_cache, int32_t position, int8_t *out, void *scratch, int32_t tokens);
appending plain_thimble_append_pairs_s8, plain_thimble_append_rows_s8;
attending plain_thimble_attention_pairs_s8, plain_thimble_attention_rows_s8;

/* The kernels of one layout of the caches. */
typedef struct {
    const char *name, *append_name;
    appending *append, *plain_append;
    attending *attend, *plain_attend;
} layout;

static _Alignas(16) int8_t k_one[MOST], k_other[MOST], v_one[MOST], v_other[MOST];
static int32_t exp_table[256];
static _Alignas(16) uint8_t scratch[1024];

static thimble_attention_s8_params draw_attention(int32_t head_dim, int32_t context, int32_t kv_heads, int32_t group)
{
    exp_table[255] = INT32_MAX;
    for (int32_t i = 254; i >= 0; i--) {
        exp_table[i] = (int32_t)(((int64_t)exp_table[i + 1] * between(200, 255)) >> 8);
    }
    fill(table, 256, -128);
    return (thimble_attention_s8_params){
        .mask = table,
        .exp = exp_table,
        .kv_heads = kv_heads,
        .group = group,
        .context = context,
        .head_dim = head_dim,
        .q_offset = between(-127, 128),
        .k_offset = between(-127, 128),
        .score = draw_product_scale(1, 14),
        .masked_score = -128,
        .v_offset = between(-127, 128),
        .out = draw_product_scale(4, 10),
    };
}

/* Two values at random among the extremes. */
static void fill_extremes(int8_t *to, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        to[i] = between(0, 1) ? 127 : -128;
    }
}

/* What is drawn only now and then: scores that are all equal; one that takes all, with masks in order and exponentials
 * that halve; the largest sums; shifts to the end. */
static void make_extreme(thimble_attention_s8_params *p, int32_t which)
{
    const int32_t queries = p->kv_heads * p->group * p->head_dim;
    if (which == 1) {
        memset(a, -p->q_offset, (size_t)queries);
    }
    if (which == 2) {
        for (int32_t i = 0; i < 256; i++) {
            table[i] = (int8_t)(i - 128);
            exp_table[i] = 255 - i < 31 ? INT32_MAX >> (255 - i) : 0;
        }
    }
    if (which == 3) {
        fill_extremes(a, queries);
        fill_extremes(k_one, MOST);
        fill_extremes(v_one, MOST);
        fill_extremes(b, MOST);
        p->q_offset = p->k_offset = p->v_offset = between(0, 1) ? 128 : -127;
    }
    if (which == 4) {
        p->score.right_shift_less_one = between(0, 30);
        p->out.right_shift_less_one = between(0, 30);
    }
}

static void compare(const layout *l)
{
    uint32_t cases = 0, different = 0;
    for (; cases < 300; cases++) {
        const int32_t head_dim = cases % 3 == 0 ? 8 : 4 * between(1, 16), kv_heads = between(1, 2);
        const int32_t context = between(1, head_dim > 16 ? 24 : 96), group = between(1, 3);
        thimble_attention_s8_params p = draw_attention(head_dim, context, kv_heads, group);
        const int32_t position = between(0, context - 1), tokens = between(1, position + 1 < 4 ? position + 1 : 4);
        fill(k_one, MOST, -128);
        fill(v_one, MOST, -128);
        const int32_t queries = kv_heads * group * head_dim;
        fill(a, tokens * queries, -128);
        fill(b, MOST, -128);
        make_extreme(&p, between(0, 8));
        memcpy(k_other, k_one, MOST);
        memcpy(v_other, v_one, MOST);
        memset(one, 0x55, MOST);
        memset(other, 0x55, MOST);
        const int8_t *v_new = b + 4 * kv_heads * head_dim;
        l->append(&p, b, v_new, k_one, v_one, position, tokens);
        l->plain_append(&p, b, v_new, k_other, v_other, position, tokens);
        l->attend(&p, a, k_one, v_one, position, one, scratch, tokens);
        l->plain_attend(&p, a, k_other, v_other, position, other, scratch, tokens);
        different += differs(one, other, MOST) || differs(k_one, k_other, MOST) || differs(v_one, v_other, MOST);
    }
    report(l->name, cases, different);
}

static void count(const layout *l)
{
    for (int32_t head_dim = 8; head_dim <= 16; head_dim += 4) {
        const thimble_attention_s8_params p = draw_attention(head_dim, 96, 2, 2);
        fill(k_one, MOST, -128);
        fill(v_one, MOST, -128);
        fill(a, 64, -128);
        start_count();
        for (int32_t i = 0; i < 10; i++) {
            l->attend(&p, a, k_one, v_one, 47, one, scratch, 1);
        }
        print_count(l->name, 2 * head_dim, 4 * 48, 10);
        start_count();
        for (int32_t i = 0; i < 10; i++) {
            l->append(&p, a, a, k_one, v_one, 47, 1);
        }
        print_count(l->append_name, head_dim, 2, 10);
    }
}

void check(void)
{
    const layout layouts[] = {
        {"attention_pairs", "append_pairs", thimble_append_pairs_s8, plain_thimble_append_pairs_s8,
         thimble_attention_pairs_s8, plain_thimble_attention_pairs_s8},
        {"attention_rows", "append_rows", thimble_append_rows_s8, plain_thimble_append_rows_s8,
         thimble_attention_rows_s8, plain_thimble_attention_rows_s8},
    };
    for (int32_t i = 0; i < 2; i++) {
        compare(&layouts[i]);
        count(&layouts[i]);
    }
}
