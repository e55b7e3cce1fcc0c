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

typedef struct {
    thimble_vocabulary vocabulary;
    uint16_t max_names, value_count;
    uint16_t capacity; /* bytes of texts, and of values */
    uint32_t *text_starts, *value_starts;
    uint16_t *by_text, *by_skeleton, *value_of;
    uint8_t *kinds, *text, *values;
} thimble_names;

/* An empty vocabulary in `memory`, 4-byte aligned: a name for every 40 bytes, at most 65535 of them. */
void thimble_names_init(thimble_names *names, void *memory, size_t bytes);

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
