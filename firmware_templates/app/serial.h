/* Lines in, lines out: what the protocol (docs/protocol.md) is made of. */
#ifndef THIMBLE_SERIAL_H
#define THIMBLE_SERIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest request line, without its end. */
#define LINE_CAPACITY 1024

/* Waits for the next line of printable ASCII, without its end (\n, \r or \r\n) and 0-terminated. Lines that are too
 * long, hold other bytes, lost bytes on the way or have another checksum than they say are answered with ERR here and
 * skipped. The text may be changed in place. An id before it and a checksum behind it are taken off; what is put from
 * now on has them too. While no byte comes `work` is called, until it says that nothing is left to do. */
char *serial_read_line(bool (*work)(void));

bool equal(const char *a, const char *b);
size_t length_of(const char *text);

/* Cuts the next space-separated word off the line; empty at its end. */
char *next_word(char **line);

/* True if the text is a decimal number of at most `most`. */
bool parse_number(const char *text, uint32_t most, uint32_t *value);

/* Undoes percent-encoding in place; the count of bytes, or -1 if a % is not followed by two hexadecimal digits. */
int32_t percent_decode(char *text);

void put_text(const char *text);
void put_number(uint64_t value);
void put_hex32(uint32_t value);
/* Bytes, percent-encoded unless letters, digits or one of -_.~=,:/ */
void put_percent(const uint8_t *bytes, size_t count);

/* "ERR code text\n" */
void put_error(const char *code_and_text);

#endif
