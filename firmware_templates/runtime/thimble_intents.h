/* Sessions of models that answer in intents and slots. */
#ifndef THIMBLE_INTENTS_H
#define THIMBLE_INTENTS_H

#include "thimble_session.h"
#include "thimble_understand.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const thimble_answering thimble_intents;

/* What such a session keeps behind the model's memory. */
typedef struct {
    thimble_understanding understanding;
    thimble_annotator annotator;
    thimble_result result;
    thimble_slot *slots;
    uint8_t *text; /* a copy of what was asked */
    bool is_over;  /* `result` holds */
} thimble_intents_memory;

/* Bytes of a session's memory; the model's header has it with the model's numbers. Where names are found while a text
 * is read is the KV cache, if that is large enough. */
#define THIMBLE_SPARE_IDS 64u /* of a word before its parts are merged */
#define THIMBLE_INTENTS_BYTES(memory_bytes, cache_bytes, context, slots, text_bytes)                                \
    (THIMBLE_ROUNDED(memory_bytes) + THIMBLE_ROUNDED(sizeof(thimble_intents_memory)) +                              \
     THIMBLE_ROUNDED((slots) * sizeof(thimble_slot)) + THIMBLE_ROUNDED(2u * ((context) + 1u + THIMBLE_SPARE_IDS)) + \
     THIMBLE_WORK_BYTES(cache_bytes) + (text_bytes))
#define THIMBLE_WORK_BYTES(cache_bytes) \
    ((cache_bytes) < sizeof(thimble_annotation) + 8u ? THIMBLE_ROUNDED(sizeof(thimble_annotation)) : 0u)

/* Asks and waits: a status as thimble_session_step has it, and what is to be done. `result`, its slots and their texts
 * stay until the next text. */
thimble_status thimble_session_understand(thimble_session *session, const char *text, size_t length,
                                          thimble_result *result);

/* What an answer says, once a step has ended it; of one that was cancelled, that nothing is done. */
void thimble_session_result(thimble_session *session, thimble_result *result);

/* Names of the application's own from now on, instead of those of the home that came with the model; NULL: none. */
void thimble_session_use_vocabulary(thimble_session *session, const thimble_vocabulary *names);

#ifdef __cplusplus
}
#endif

#endif
