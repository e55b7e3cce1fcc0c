/* How C and JavaScript meet. */
#ifndef THIMBLE_PAGE_H
#define THIMBLE_PAGE_H

/* A function that JavaScript calls by this name. */
#define EXPORT(name) __attribute__((export_name(#name)))
/* A function of JavaScript's. */
#define IMPORT(name) __attribute__((import_module("page"), import_name(#name)))

#endif
