#include "config/reader.h"
#include "config/mistake.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

slice reader_option_path(struct reader *r, enum section_id id, slice option)
{
    slice section = config_sections[id].name;
    if (section.len == 0 || option.len == 0)
        return section.len ? section : option;
    return arena_format(&r->scratch, SLICE_FMT "." SLICE_FMT, SLICE_ARG(section), SLICE_ARG(option));
}

void reader_mistake_at(struct reader *r, const struct node *n, slice option, const char *what)
{
    mistake_add(r->mistakes, n->source->name, n->line, n->column, option, "%s", what);
}

static const struct node *place_of(struct reader *r, enum section_id id, size_t index, const char *option)
{
    const struct gathered *g = &r->gathered[id];
    if (!g->places)
        return NULL;
    const struct item_places *places = &g->places[index];
    const struct option *o = section_find_option(&config_sections[id], slice_from_cstr(option));
    const struct node *key = o && places->options ? places->options[o - config_sections[id].options] : NULL;
    if (key)
        return key->value && key->value->source ? key->value : key;
    return places->mapping;
}

void reader_mistake(struct reader *r, enum section_id id, size_t index, const char *option, const char *format, ...)
{
    char *what = NULL;
    va_list arguments;
    va_start(arguments, format);
    int len = vasprintf(&what, format, arguments);
    va_end(arguments);
    const struct node *n = place_of(r, id, index, option);
    mistake_add(r->mistakes, n ? n->source->name : SLICE(""), n ? n->line : 0, n ? n->column : 0,
                reader_option_path(r, id, slice_from_cstr(option)), "%s", len < 0 ? "out of memory" : what);
    if (len >= 0)
        free(what);
}

slice reader_place(struct reader *r, enum section_id id, size_t index, const char *option)
{
    const struct node *n = place_of(r, id, index, option);
    return n ? arena_format(&r->scratch, SLICE_FMT ":%u", SLICE_ARG(n->source->name), n->line) : SLICE("");
}
