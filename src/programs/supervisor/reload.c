#include "programs/supervisor/reload.h"

static bool lists_equal(struct config_list a, struct config_list b)
{
    bool equal = a.count == b.count;
    for (size_t i = 0; equal && i < a.count; i++)
        equal = slice_eq(a.items[i], b.items[i]);
    return equal;
}

static void add_name(struct text *names, const char *section, const char *field)
{
    if (names->len)
        text_add_cstr(names, ", ");
    text_add_format(names, "%s%s", section, field);
}

#define EQUAL_BOOL(a, b)      ((a) == (b))
#define EQUAL_COUNT(a, b)     ((a) == (b))
#define EQUAL_DURATION(a, b)  ((a) == (b))
#define EQUAL_SIZE(a, b)      ((a) == (b))
#define EQUAL_CHOICE(name)    EQUAL_BOOL
#define EQUAL_TEXT(a, b)      slice_eq((a), (b))
#define EQUAL_NAME(a, b)      slice_eq((a), (b))
#define EQUAL_FILE(a, b)      slice_eq((a), (b))
#define EQUAL_SECRET(a, b)    slice_eq((a), (b))
#define EQUAL_ADDRESSES(a, b) lists_equal((a), (b))
#define EQUAL_NAMES(a, b)     lists_equal((a), (b))
#define EQUAL_TEXTS(a, b)     lists_equal((a), (b))
#define EQUAL_NETWORKS(a, b)  lists_equal((a), (b))
#define ONLY_LIVE             false
#define ONLY_RESTART          true
#define COMPARE(field, type, preset, lowest, highest, change, manual)                                                  \
    if (ONLY_##change && !EQUAL_##type(OLD->field, NEW->field))                                                        \
        add_name(names, PREFIX, #field);

#define OLD    old
#define NEW    new
#define PREFIX ""
static void compare_server(struct text *names, const struct config *old, const struct config *new)
{
    SERVER_OPTIONS(COMPARE)
}
#undef OLD
#undef NEW
#undef PREFIX

#define OLD    (&old->dns)
#define NEW    (&new->dns)
#define PREFIX "dns."
static void compare_dns(struct text *names, const struct config *old, const struct config *new) { DNS_OPTIONS(COMPARE) }
#undef OLD
#undef NEW
#undef PREFIX

#define OLD    (&old->spool)
#define NEW    (&new->spool)
#define PREFIX "spool."
static void compare_spool(struct text *names, const struct config *old, const struct config *new)
{
    SPOOL_OPTIONS(COMPARE)
}
#undef OLD
#undef NEW

static bool listener_equal(const struct config_listener *a, const struct config_listener *b)
{
    return slice_eq(a->name, b->name) && a->role == b->role && lists_equal(a->address, b->address);
}

static bool listeners_equal(const struct config *old, const struct config *new)
{
    bool equal = old->listener_count == new->listener_count;
    for (size_t i = 0; equal && i < old->listener_count; i++)
        equal = listener_equal(&old->listeners[i], &new->listeners[i]);
    return equal;
}

void reload_list_restart_options(struct text *names, const struct config *old, const struct config *new)
{
    compare_server(names, old, new);
    compare_dns(names, old, new);
    compare_spool(names, old, new);
    if (!listeners_equal(old, new))
        add_name(names, "", "listeners");
}
