/* Names that were added while the application runs, in flash: they are there again after a loss of power.
 *
 * Kinds are kept by their names, so that they are the same in another build of the application. */
#ifndef THIMBLE_STORED_NAMES_H
#define THIMBLE_STORED_NAMES_H

#include "thimble_answer.h"
#include "thimble_names.h"
#include "thimble_store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Whether the flash holds these names and no others, in the same order. */
bool thimble_names_are_stored(const thimble_names *names, const thimble_answers *answers, const thimble_flash *flash);

/* Puts the names into flash, in place of those there; does nothing where they are there already. False: they do not
 * fit, or the flash does not do what it is told, and those before are there still. */
bool thimble_names_store(const thimble_names *names, const thimble_answers *answers, const thimble_flash *flash);

/* Bytes of flash that the names take, of `thimble_store_capacity`. */
size_t thimble_names_stored_bytes(const thimble_names *names, const thimble_answers *answers);

/* Adds the names that the flash holds. Returns how many are left out: the model has no such kind any more, or there is
 * no memory. `words` is work space. */
size_t thimble_names_restore(thimble_names *names, const thimble_annotator *annotator, const thimble_answers *answers,
                             const thimble_flash *flash, thimble_words *words);

#ifdef __cplusplus
}
#endif

#endif
