/* Names that the application adds while it runs: a vocabulary in memory, which counts before the model's own. */
#ifndef THIMBLE_NAMES_H
#define THIMBLE_NAMES_H

#include "thimble_matcher.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    THIMBLE_NAME_KNOWN = 0, /* it was added, or has another kind and value now */
    THIMBLE_NAME_NO_WORDS,  /* the text has no letter or digit, or is not UTF-8 */
    THIMBLE_NAME_TOO_LONG,  /* more than THIMBLE_MAX_NAME_BYTES */
    THIMBLE_NAMES_FULL
} thimble_name_status;

enum { THIMBLE_NAME_TABLES = 10 };

/* Tables one behind the other in `memory`, each as long as it must be. It points into itself: it stays where it is. */
typedef struct {
    thimble_vocabulary vocabulary;
    thimble_coded_names coded;
    uint8_t *memory;
    size_t bytes;
    uint32_t sizes[THIMBLE_NAME_TABLES];
    uint16_t word_count, value_count;
} thimble_names;

/* An empty vocabulary in `memory`, 2-byte aligned. A name takes 9 bytes and one a word, 2 behind the 128th; a word that
 * no name had before its bytes and 2; a value that is not the name in other cases 3 bytes and its own, or a byte a word
 * and 4 where it is words in some cases. */
void thimble_names_init(thimble_names *names, void *memory, size_t bytes);

/* Bytes of the memory that are in use. */
size_t thimble_names_used(const thimble_names *names);

/* Forgets all names. */
void thimble_names_clear(thimble_names *names);

/* Adds a name, in any case: what people say, the index of its marker, and what an answer holds. `words` is work space.
 */
thimble_name_status thimble_names_add(thimble_names *names, const thimble_annotator *annotator, uint8_t kind,
                                      const uint8_t *value, size_t value_length, const uint8_t *text, size_t length,
                                      thimble_words *words);

#ifdef __cplusplus
}
#endif

#endif
