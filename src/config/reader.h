#pragma once
#include "config/node.h"
#include "config/table.h"
/*
 * reader - from trees of nodes to a config. Private to config/: config.c leads.
 *
 * Reading goes in two passes: the first gathers, through all included files, what belongs to each section; the second
 * sets the options of each item. Where each value was written is kept until the checks of the whole are done.
 */
struct item_places {             /* of one item of a list section, or of the section itself */
    const struct node *mapping;  /* where it begins; NULL: the section is not in the file */
    const struct node **options; /* by the option's number: its key; NULL: not given */
};
struct gathered { /* the mappings of one section, in the order of the files */
    struct node **mappings;
    size_t count, capacity;
    struct item_places *places; /* section_count() of them, once the second pass is there */
};
struct reader {
    struct config *config;
    struct config_mistakes *mistakes;
    struct arena scratch; /* nodes and places */
    struct node *last_node;
    struct gathered gathered[SECTIONS];
    size_t files_read, octets_read;
    bool is_whole; /* false after a syntax error: then nothing can be called missing */
};

/* A mistake about an option of an item: at its value where it was given, else where the item begins. */
void reader_mistake(struct reader *, enum section_id, size_t index, const char *option, const char *format, ...)
    PRINTF_LIKE(5, 6);
/* The place of it, for "first given at": "postrider.yaml:12". */
slice reader_place(struct reader *, enum section_id, size_t index, const char *option);

void reader_mistake_at(struct reader *, const struct node *, slice option, const char *what);
slice reader_option_path(struct reader *, enum section_id, slice option); /* "limits.max_errors" */

/* gather.c, the first pass: `path` is the file's own, resolved, or empty for a text. */
void reader_gather(struct reader *, slice yaml, const struct source *, slice path);
/* options.c, the second pass: one section. */
void reader_read_section(struct reader *, enum section_id);
/* check.c: what no single value shows. May fold domains to lower case. */
void config_check(struct reader *);
