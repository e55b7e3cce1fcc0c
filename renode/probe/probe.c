/* Says for each instruction of this core whether it computes what the architecture says, over edges and random operands:
 *   CHECK <name>, then RIGHT <name> <cases> or WRONG <name> a=… b=… c=… gives=… not=…; at last END
 * Vectors are told by their words, the highest first. An instruction that the emulator does not know at all ends in a FAULT. */
#include "probe.h"

#include "board.h"
#include "serial.h"

#define ROUNDS 2000u

static const uint32_t edges[] = {
    0x00000000u, 0x00000001u, 0xFFFFFFFFu, 0x7FFFFFFFu, 0x80000000u, 0x80000001u, 0x80008000u, 0x7FFF7FFFu, 0x80007FFFu, 0x7FFF8000u,
    0x00008000u, 0x80008001u, 0xFFFF0000u, 0x0000FFFFu, 0x80808080u, 0x7F7F7F7Fu, 0x7F80807Fu, 0x40004000u, 0x00010000u, 0xC000C000u,
};
#define NUM_EDGES (sizeof edges / sizeof *edges)

static uint32_t random_word(void) {
    static uint32_t state = 0x2545F491u;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

/* One in two is an edge. */
static uint32_t operand(void) {
    uint32_t choice = random_word();
    return choice & 0x10000u ? random_word() : edges[choice % NUM_EDGES];
}

static void put_words(const char *name, const uint32_t *words, size_t count) {
    put_text(name);
    while (count--)
        put_hex32(words[count]);
}

static void put_check(const char *name) {
    put_text("CHECK ");
    put_text(name);
    put_text("\n");
}

static void put_right(const char *name, uint32_t cases) {
    put_text("RIGHT ");
    put_text(name);
    put_text(" ");
    put_number(cases);
    put_text("\n");
}

static void put_wrong(const char *name, const uint32_t *a, const uint32_t *b, const uint32_t *c, const uint32_t *gives,
                      const uint32_t *is, size_t words, size_t wide) {
    put_text("WRONG ");
    put_text(name);
    put_words(" a=", a, words);
    put_words(" b=", b, words);
    put_words(" c=", c, wide);
    put_words(" gives=", gives, wide);
    put_words(" not=", is, wide);
    put_text("\n");
}

static void check_scalar(const scalar_case *of) {
    uint32_t round = 0;
    put_check(of->name);
    for (; round < ROUNDS + NUM_EDGES * NUM_EDGES; round++) {
        uint32_t a = operand(), b = operand();
        if (round < NUM_EDGES * NUM_EDGES) {
            a = edges[round / NUM_EDGES];
            b = edges[round % NUM_EDGES];
        }
        uint64_t c = (uint64_t)operand() << 32 | operand(), gives = of->core(a, b, c), is = of->plain(a, b, c);
        if (gives != is) {
            uint32_t words[3][2] = {{(uint32_t)c, (uint32_t)(c >> 32)}, {(uint32_t)gives, (uint32_t)(gives >> 32)}, {(uint32_t)is, (uint32_t)(is >> 32)}};
            put_wrong(of->name, &a, &b, words[0], words[1], words[2], 1, 2);
            return;
        }
    }
    put_right(of->name, round);
}

static void check_vector(const vector_case *of) {
    static const uint32_t none[4];
    put_check(of->name);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t a[4], b[4], gives[4] = {0}, is[4] = {0};
        for (int i = 0; i < 4; i++) {
            a[i] = operand();
            b[i] = operand();
        }
        of->core(a, b, gives);
        of->plain(a, b, is);
        for (int i = 0; i < 4; i++)
            if (gives[i] != is[i]) {
                put_wrong(of->name, a, b, none, gives, is, 4, 4);
                return;
            }
    }
    put_right(of->name, ROUNDS);
}

int main(void) {
    board_init();
    for (size_t i = 0; i < num_scalar_cases; i++)
        check_scalar(&scalar_cases[i]);
    for (size_t i = 0; i < num_vector_cases; i++)
        check_vector(&vector_cases[i]);
    put_text("END\n");
    for (;;)
        (void)board_read();
}
