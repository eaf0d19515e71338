#pragma once
#include "config/config.h"
/*
 * table - the option table made from options.def: what the reader, the writer, the reference page, the manual and the
 * JSON Schema all go by. Private to config/.
 */
enum option_type {
    OPTION_BOOL,
    OPTION_COUNT,
    OPTION_DURATION,
    OPTION_SIZE,
    OPTION_TEXT,
    OPTION_NAME,
    OPTION_FILE,
    OPTION_SECRET,
    OPTION_ADDRESSES,
    OPTION_NAMES,
    OPTION_TEXTS,
    OPTION_NETWORKS,
    OPTION_CHOICE,
    OPTION_TYPES
};
enum option_change { LIVE, RESTART };

struct option_words { /* of a CHOICE, in the order of its enum */
    const slice *words;
    size_t count;
};
struct option {
    slice name;
    enum option_type type;
    const struct option_words *words; /* CHOICE only */
    size_t offset;                    /* of the field in its section's struct */
    const char *preset, *lowest, *highest;
    enum option_change change;
    const char *manual;
    size_t content_offset; /* FILE only: of the slice that gets the file's content; 0: the file is not read */
};
static inline bool option_is_list(const struct option *o)
{
    return o->type == OPTION_ADDRESSES || o->type == OPTION_NAMES || o->type == OPTION_TEXTS ||
           o->type == OPTION_NETWORKS;
}
static inline bool option_has_content(const struct option *o) { return o->content_offset != 0; }

/* What the option file calls a value of this type: "a duration such as 5d, 1h30m or 250ms". */
const char *option_type_expected(enum option_type);

enum section_id {
    SECTION_SERVER,
    SECTION_TLS,
    SECTION_DNS,
    SECTION_LIMITS,
    SECTION_RETRY,
    SECTION_SPOOL,
    SECTION_LOG,
    SECTION_DELIVERY,
    SECTION_LISTENERS,
    SECTION_DOMAINS,
    SECTION_ALIASES,
    SECTION_ACCOUNTS,
    SECTION_ROUTES,
    SECTIONS
};
struct section {
    slice name;   /* empty: the options at the top of the file */
    bool is_list; /* a list of mappings; else one mapping */
    const struct option *options;
    size_t option_count;
    size_t offset;       /* in struct config: of the struct, or of the pointer to the items */
    size_t count_offset; /* lists: of the count of items */
    size_t item_octets;
    const char *manual;
};
extern const struct section config_sections[SECTIONS];

const struct section *config_find_section(slice name); /* NULL: there is none, or it is the top of the file */
const struct option *section_find_option(const struct section *, slice name);

/* The struct that holds the options of item `index` (0 where the section is no list). */
void *section_item(const struct section *, struct config *, size_t index);
size_t section_count(const struct section *, const struct config *);

/* The field of one option. */
static inline void *option_field(const struct option *o, void *item) { return (char *)item + o->offset; }
static inline slice *option_content(const struct option *o, void *item)
{
    return (slice *)(void *)((char *)item + o->content_offset);
}
