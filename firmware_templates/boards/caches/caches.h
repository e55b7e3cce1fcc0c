#ifndef CACHES_H
#define CACHES_H

/* Switches the core's caches on; called once, after reset. */
void caches_init(void);

#endif
