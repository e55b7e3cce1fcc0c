#include "serial.h"

#include "board.h"

static char line[LINE_CAPACITY + 1];

char *serial_read_line(void)
{
    static bool after_return; /* the last line ended in \r: a \n that follows belongs to it */
    static const char *const problems[] = {
        "line-too-long a request has at most 1024 characters",
        "not-printable a request is printable ASCII; percent-encode other bytes",
        "overrun bytes were lost: wait for the answer before the next request",
    };
    size_t length = 0, problem = 0; /* the gravest that the line has, counted from 1 */
    for (;;) {
        int byte = board_read();
        bool ended_before = after_return && byte == '\n';
        after_return = byte == '\r';
        if (ended_before) {
            continue;
        }
        if (byte == '\n' || byte == '\r') {
            line[length] = 0;
            if (problem == 0) {
                return line;
            }
            put_error(problems[problem - 1]);
            length = problem = 0;
            continue;
        }
        size_t found = byte == BOARD_LOST ? 3 : byte < 0x20 || byte > 0x7E ? 2 : length == LINE_CAPACITY ? 1 : 0;
        if (found > problem) {
            problem = found;
        }
        if (length < LINE_CAPACITY) {
            line[length++] = (char)byte;
        }
    }
}

bool equal(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++, b++;
    }
    return *a == *b;
}

size_t length_of(const char *text)
{
    const char *end = text;
    while (*end) {
        end++;
    }
    return (size_t)(end - text);
}

char *next_word(char **text)
{
    char *word = *text;
    while (*word == ' ') {
        word++;
    }
    char *end = word;
    while (*end && *end != ' ') {
        end++;
    }
    *text = *end ? end + 1 : end;
    *end = 0;
    return word;
}

bool parse_number(const char *text, uint32_t most, uint32_t *value)
{
    uint64_t number = 0;
    if (!*text) {
        return false;
    }
    for (; *text; text++) {
        if (*text < '0' || *text > '9') {
            return false;
        }
        number = number * 10 + (uint32_t)(*text - '0');
        if (number > most) {
            return false;
        }
    }
    *value = (uint32_t)number;
    return true;
}

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    digit |= 0x20;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

int32_t percent_decode(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        if (*from != '%') {
            *to++ = *from;
            continue;
        }
        int high = hex_digit(from[1]);
        int low = high < 0 ? -1 : hex_digit(from[2]);
        if (low < 0) {
            return -1;
        }
        *to++ = (char)(high << 4 | low);
        from += 2;
    }
    return (int32_t)(to - text);
}

void put_text(const char *text)
{
    board_write(text, length_of(text));
}

/* The last decimal digit, taken off. By halves, since a 64-bit division would bring 700 bytes of library. */
static uint32_t take_digit(uint64_t *value)
{
    uint32_t high = (uint32_t)(*value >> 32), low = (uint32_t)*value;
    uint32_t upper = (high % 10) << 16 | low >> 16;
    uint32_t lower = (upper % 10) << 16 | (low & 0xFFFFu);
    *value = (uint64_t)(high / 10) << 32 | (upper / 10) << 16 | lower / 10;
    return lower % 10;
}

void put_number(uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + take_digit(&value));
    } while (value);
    board_write(digits + at, sizeof digits - at);
}

void put_hex32(uint32_t value)
{
    for (int i = 0; i < 8; i++, value <<= 4) {
        board_write(&"0123456789abcdef"[value >> 28], 1);
    }
}

static bool is_plain(uint8_t byte)
{
    uint8_t letter = byte | 0x20;
    if ((letter >= 'a' && letter <= 'z') || (byte >= '0' && byte <= '9')) {
        return true;
    }
    for (const char *sign = "-_.~=,:/"; *sign; sign++) {
        if (byte == (uint8_t)*sign) {
            return true;
        }
    }
    return false;
}

void put_percent(const uint8_t *bytes, size_t count)
{
    for (; count; count--, bytes++) {
        char out[3] = {(char)*bytes, 0, 0};
        if (is_plain(*bytes)) {
            board_write(out, 1);
            continue;
        }
        out[0] = '%';
        out[1] = "0123456789ABCDEF"[*bytes >> 4];
        out[2] = "0123456789ABCDEF"[*bytes & 15];
        board_write(out, 3);
    }
}

void put_error(const char *code_and_text)
{
    put_text("ERR ");
    put_text(code_and_text);
    put_text("\n");
}
