/* The application behind a UART that gives anything: every line has one answer, of printable ASCII. It starts anew with
 * each input, in whose first byte the receiver may lose bytes (0xFF does). */
#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define getchar next_byte
#define exit leave
#define fwrite take_answer
#define fflush nothing_waits
#include "../../emulated/host_board.c"

int application(void);

static jmp_buf at_end;
static const uint8_t *input, *input_end;
static uint8_t last; /* byte of a line, also of the input before: the application knows it still */
static size_t lines_in, answers;

/* Of the line that is being answered. */
static char head[16];
static size_t length;

int next_byte(void)
{
    if (input == input_end) {
        leave(0);
    }
    const uint8_t byte = *input++;
    lines_in += byte == '\r' || (byte == '\n' && last != '\r');
    last = byte;
    return byte;
}

void leave(int status)
{
    if (status) {
        __builtin_trap(); /* guard bytes were written over */
    }
    longjmp(at_end, 1);
}

int nothing_waits(FILE *file)
{
    (void)file;
    return 0;
}

static bool begins(const char *text)
{
    const char *from = head;
    if (*from == '#') {
        while (*from && *from != ' ') {
            from++;
        }
        from += *from == ' ';
    }
    return !strncmp(from, text, strlen(text));
}

size_t take_answer(const void *bytes, size_t size, size_t count, FILE *file)
{
    (void)size, (void)file;
    for (size_t i = 0; i < count; i++) {
        const uint8_t byte = ((const uint8_t *)bytes)[i];
        if (byte == '\n') {
            if (begins("ERR image")) {
                __builtin_trap(); /* then nothing else would be tried */
            }
            answers += begins("OK") || begins("ERR ");
            length = 0;
            memset(head, 0, sizeof head);
        } else if (byte < 0x20 || byte > 0x7E) {
            __builtin_trap();
        } else if (length < sizeof head - 1) {
            head[length++] = (char)byte;
        }
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input = data;
    input_end = data + size;
    lines_in = answers = 0;
    if (!setjmp(at_end)) {
        (void)application();
    }
    if (lines_in != answers) {
        __builtin_trap();
    }
    return 0;
}
