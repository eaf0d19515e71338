#pragma once
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
/*
 * compiler - the few words the whole house uses that C itself lacks.
 */
#define MUST_CHECK                   __attribute__((warn_unused_result))
#define PRINTF_LIKE(template, first) __attribute__((format(printf, template, first), nonnull(template)))
#define NORETURN                     __attribute__((noreturn))

#define COUNT(array)                        (sizeof(array) / sizeof((array)[0]))
#define CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline size_t size_min(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t size_max(size_t a, size_t b) { return a > b ? a : b; }

/* Checked arithmetic: true when the result did not fit (then *result is not to be used). */
#define ADD_OVERFLOWS(a, b, result) __builtin_add_overflow((a), (b), (result))
#define MUL_OVERFLOWS(a, b, result) __builtin_mul_overflow((a), (b), (result))
