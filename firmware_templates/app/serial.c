#include "serial.h"

#include "board.h"
#include "thimble_crc32.h"

static char line[LINE_CAPACITY + 1];

/* Of the request at hand, which its answers carry: its id, empty for none, and whether each has a checksum. */
enum { ID_CAPACITY = 8, CHECKSUM_LENGTH = 10 /* " *" and eight digits */ };
static char id[ID_CAPACITY + 1];
static bool has_checksum;

static int hex_digit(char digit);

static bool is_of_id(char letter)
{
    return (letter >= '0' && letter <= '9') || ((letter | 0x20) >= 'a' && (letter | 0x20) <= 'z');
}

/* Takes "#ID " off the line's beginning; what follows. */
static char *take_id(char *text)
{
    size_t length = 0;
    id[0] = 0;
    has_checksum = false;
    if (*text != '#') {
        return text;
    }
    while (length <= ID_CAPACITY && is_of_id(text[1 + length])) {
        length++;
    }
    if (length == 0 || length > ID_CAPACITY || text[1 + length] != ' ') {
        return text;
    }
    for (size_t i = 0; i < length; i++) {
        id[i] = text[1 + i];
    }
    id[length] = 0;
    return text + length + 2;
}

/* Takes " *CHECKSUM" off the line's end, where it is there; false: it is not that of the line before it. */
static bool take_checksum(void)
{
    char *text = line;
    const size_t length = length_of(text);
    uint32_t expected = 0;
    if (!*id || length < CHECKSUM_LENGTH || text[length - CHECKSUM_LENGTH] != ' ' ||
        text[length - CHECKSUM_LENGTH + 1] != '*') {
        return true;
    }
    for (size_t i = length - CHECKSUM_LENGTH + 2; i < length; i++) {
        const int digit = hex_digit(text[i]);
        if (digit < 0) {
            return true;
        }
        expected = expected << 4 | (uint32_t)digit;
    }
    has_checksum = true;
    text[length - CHECKSUM_LENGTH] = 0;
    return thimble_crc32(0, text, length - CHECKSUM_LENGTH) == expected;
}

char *serial_read_line(bool (*work)(void))
{
    static bool after_return; /* the last line ended in \r: a \n that follows belongs to it */
    static const char *const problems[] = {
        "line-too-long a request has at most 1024 characters",
        "not-printable a request is printable ASCII; percent-encode other bytes",
        "overrun bytes were lost: wait for the answer before the next request",
    };
    enum { OVERRUN = 3 };
    size_t length = 0, problem = 0; /* the gravest that the line has, counted from 1 */
    for (;;) {
        while (board_is_idle() && work()) {
        }
        int byte = board_read();
        bool ended_before = after_return && byte == '\n';
        after_return = byte == '\r';
        if (ended_before) {
            continue;
        }
        if (byte == '\n' || byte == '\r') {
            line[length] = 0;
            char *request = take_id(line);
            if (problem == OVERRUN) {
                id[0] = 0; /* whose bytes these are is not known */
            }
            if (problem) {
                put_error(problems[problem - 1]);
            } else if (take_checksum()) {
                return request;
            } else {
                put_error("checksum the request is not what was sent");
            }
            length = problem = 0;
            continue;
        }
        size_t found = byte == BOARD_LOST ? OVERRUN : byte < 0x20 || byte > 0x7E ? 2 : length == LINE_CAPACITY ? 1 : 0;
        if (found > problem) {
            problem = found;
        }
        if (length < LINE_CAPACITY) {
            line[length++] = (char)byte;
        }
    }
}

/* Sends bytes of answers; each line begins with the request's id, and ends with its checksum, where it has them. */
static void put_bytes(const char *bytes, size_t count)
{
    static bool is_inside; /* of a line */
    static uint32_t crc;
    while (count) {
        if (!is_inside && *id) {
            board_write("#", 1);
            board_write(id, length_of(id));
            board_write(" ", 1);
            crc = thimble_crc32(thimble_crc32(thimble_crc32(0, "#", 1), id, length_of(id)), " ", 1);
        }
        is_inside = true;
        size_t length = 0;
        while (length < count && bytes[length] != '\n') {
            length++;
        }
        if (*id && has_checksum) {
            crc = thimble_crc32(crc, bytes, length);
        }
        board_write(bytes, length);
        if (length < count) {
            if (*id && has_checksum) {
                board_write(" *", 2);
                for (int shift = 28; shift >= 0; shift -= 4) {
                    board_write(&"0123456789abcdef"[crc >> shift & 15], 1);
                }
            }
            board_write("\n", 1);
            is_inside = false;
            length++;
        }
        bytes += length;
        count -= length;
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
    put_bytes(text, length_of(text));
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
    put_bytes(digits + at, sizeof digits - at);
}

void put_hex32(uint32_t value)
{
    for (int i = 0; i < 8; i++, value <<= 4) {
        put_bytes(&"0123456789abcdef"[value >> 28], 1);
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
            put_bytes(out, 1);
            continue;
        }
        out[0] = '%';
        out[1] = "0123456789ABCDEF"[*bytes >> 4];
        out[2] = "0123456789ABCDEF"[*bytes & 15];
        put_bytes(out, 3);
    }
}

void put_error(const char *code_and_text)
{
    put_text("ERR ");
    put_text(code_and_text);
    put_text("\n");
}
