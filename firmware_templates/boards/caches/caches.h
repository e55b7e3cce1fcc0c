#ifndef THIMBLE_CACHES_H
#define THIMBLE_CACHES_H

/* Switches the core's caches on; called once, after reset. */
void caches_init(void);

#endif
