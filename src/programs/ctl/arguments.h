#pragma once
#include "base/slice.h"
/*
 * arguments - command lines by table: --name VALUE, --name=VALUE, -x VALUE, --flag, and what stands alone. The help
 * text is made from the same rows.
 */
enum argument_kind {
    ARGUMENT_FLAG,     /* bool */
    ARGUMENT_TEXT,     /* const char * */
    ARGUMENT_LIST,     /* struct argument_list, repeatable */
    ARGUMENT_NUMBER,   /* uint64_t */
    ARGUMENT_DURATION, /* uint64_t, ms */
};
enum { ARGUMENT_LIST_MAX = 8192 };
struct argument_list {
    const char **items;
    size_t count;
};
struct argument {
    const char *name; /* without "--" */
    char letter;      /* 0: none */
    enum argument_kind kind;
    void *value;
    const char *placeholder; /* "DURATION"; NULL for a flag */
    const char *help;
};
struct arguments {
    const char *usage; /* "queue list [FILTER...] [ID...]" */
    const char *about; /* what the command does */
    const struct argument *rows;
    size_t count;
    const char *examples;        /* lines */
    struct argument_list *alone; /* NULL: none are allowed */
};
/* False: the command ends now with *exit_code (help was printed, or a mistake was explained on stderr: 64). */
MUST_CHECK bool arguments_read(const struct arguments *, int argc, char **argv, int *exit_code);
void arguments_list_add(struct argument_list *, const char *item);
void arguments_list_free(struct argument_list *);
/* "postrider queue list: TEXT\nTry: postrider queue list --help" on stderr; returns 64. */
int arguments_mistake(const struct arguments *, const char *format, ...) PRINTF_LIKE(2, 3);
