#pragma once
#include "base/compiler.h"
/*
 * memory - allocation that does not fail: when the machine has no memory left the process says so on
 * stderr and aborts; the supervisor starts it again and the spool loses nothing. Everything whose size
 * comes from outside is bounded before it gets here.
 */
void *memory_new(size_t octets);               /* zeroed */
void *memory_resize(void *old, size_t octets); /* new octets are not zeroed */
void *memory_copy(const void *from, size_t octets);
char *memory_copy_cstr(const void *from, size_t octets); /* adds a NUL */
#define MEMORY_NEW(type) ((type *)memory_new(sizeof(type)))
/* What libc's free does; here so that a reader finds the pair. NULL is allowed. */
void memory_free(void *pointer);
/* Overwrites a secret in a way the compiler keeps. */
void memory_wipe(void *pointer, size_t octets);
/* Compares without telling by time where two secrets differ. */
bool memory_equal_constant_time(const void *a, const void *b, size_t octets);
