#include "config/files.h"
#include "config/mistake.h"
#include "config/reader.h"
#include "config/value.h"
#include <stdlib.h>
/*
 * options - the second pass of reading: each option of each item by its row of the table.
 */

struct target { /* the option being set */
    enum section_id id;
    const struct option *option;
    void *item;
    const struct node *value;
};

static void mistake_in_value(struct reader *r, const struct target *t, const struct node *at, struct text *why)
{
    reader_mistake_at(r, at, reader_option_path(r, t->id, t->option->name), text_cstr(why));
    text_clear(why);
}

static void mistake_of_kind(struct reader *r, const struct target *t, const struct node *at, const char *expected)
{
    struct text why = { 0 };
    if (at->kind == NODE_NOTHING)
        text_add_format(&why, "has no value; expected %s", expected);
    else
        text_add_format(&why, "expected %s, found %s", expected, node_kind_name(at->kind));
    if (at->kind != NODE_BAD)
        mistake_in_value(r, t, at, &why);
    text_free(&why);
}

static void set_list(struct reader *r, const struct target *t)
{
    struct config_list *list = option_field(t->option, t->item);
    const struct node *first = t->value->kind == NODE_LIST ? t->value->first : t->value;
    size_t count = 0;
    for (const struct node *n = first; n; n = t->value->kind == NODE_LIST ? n->next : NULL)
        count++;
    list->items = ARENA_NEW_ARRAY(&r->config->memory, slice, count);
    struct text why = { 0 };
    for (const struct node *n = first; n; n = t->value->kind == NODE_LIST ? n->next : NULL) {
        if (n->kind != NODE_SCALAR)
            mistake_of_kind(r, t, n, option_type_expected(t->option->type));
        else if (value_parse_item(t->option, n->text, &r->config->memory, &list->items[list->count], &why))
            list->count++;
        else
            mistake_in_value(r, t, n, &why);
    }
    if (count == 0 && !t->option->preset) {
        text_add_format(&why, "the list is empty; expected %s", option_type_expected(t->option->type));
        mistake_in_value(r, t, t->value, &why);
    }
    text_free(&why);
}

/* The parts of a value written as a mapping, {file: PATH}; false when there is anything else in it. */
static bool read_parts(struct reader *r, const struct target *t, const char *const names[2],
                       const struct node *parts[2])
{
    struct text why = { 0 };
    for (const struct node *key = t->value->first; key && why.len == 0; key = key->next) {
        int part = slice_eq(key->text, slice_from_cstr(names[0]))   ? 0
                   : slice_eq(key->text, slice_from_cstr(names[1])) ? 1
                                                                    : -1;
        if (key->kind == NODE_BAD || !key->value || key->value->kind == NODE_BAD)
            break; /* refused already */
        if (part < 0 || parts[part] || key->value->kind != NODE_SCALAR) {
            text_add_format(&why, "expected %s, or a mapping with %s or %s", option_type_expected(t->option->type),
                            names[0], names[1]);
            mistake_in_value(r, t, key, &why);
            text_free(&why);
            return false;
        }
        parts[part] = key->value;
    }
    if (!parts[0] && !parts[1])
        mistake_of_kind(r, t, t->value, option_type_expected(t->option->type));
    text_free(&why);
    return parts[0] || parts[1];
}

static bool read_content(struct reader *r, const struct target *t, const struct node *at, slice path, size_t limit,
                         struct text *content)
{
    struct text why = { 0 };
    bool ok = file_read(arena_cstr(&r->scratch, path), limit, content, &why);
    if (ok && slice_find_byte(text_slice(content), 0) != SLICE_NOT_FOUND) {
        text_add_cstr(&why, "is not a text file");
        ok = false;
    }
    if (!ok)
        mistake_add(r->mistakes, at->source->name, at->line, at->column, reader_option_path(r, t->id, t->option->name),
                    SLICE_FMT " " SLICE_FMT, SLICE_ARG(path), SLICE_ARG(text_slice(&why)));
    text_free(&why);
    return ok;
}

/* One line of UTF-8: what a person could have typed. */
static void set_secret_octets(struct reader *r, const struct target *t, const struct node *at, slice secret,
                              const char *from)
{
    struct text why = { 0 };
    while (secret.len && (secret.ptr[secret.len - 1] == '\n' || secret.ptr[secret.len - 1] == '\r'))
        secret.len--;
    for (size_t i = 0; i < secret.len && why.len == 0; i++)
        if ((unsigned char)secret.ptr[i] < 0x20 || secret.ptr[i] == 0x7f)
            text_add_format(&why, "%s holds line breaks or control characters; a secret is one line of text", from);
    if (why.len == 0 && !slice_is_utf8(secret))
        text_add_format(&why, "%s is not UTF-8 text", from);
    if (why.len == 0 && secret.len == 0)
        text_add_format(&why, "%s is empty", from);
    if (why.len)
        mistake_in_value(r, t, at, &why);
    else
        *(slice *)option_field(t->option, t->item) = arena_copy(&r->config->memory, secret);
    text_free(&why);
}

static void set_secret_from_file(struct reader *r, const struct target *t, const struct node *at)
{
    slice path = path_below(&r->scratch, at->source->folder, at->text);
    struct text content = { 0 };
    if (read_content(r, t, at, path, SECRET_FILE_MAX, &content))
        set_secret_octets(r, t, at, text_slice(&content), "the file");
    text_wipe_free(&content);
}

static void set_secret(struct reader *r, const struct target *t)
{
    const struct node *parts[2] = { NULL, NULL };
    if (t->value->kind == NODE_MAPPING) {
        static const char *const names[2] = { "file", "text" };
        if (!read_parts(r, t, names, parts))
            return;
        if (parts[0])
            set_secret_from_file(r, t, parts[0]);
        else
            set_secret_octets(r, t, parts[1], parts[1]->text, "the text");
        return;
    }
    slice text = t->value->text;
    if (!slice_starts_with(text, SLICE("${")) || !slice_ends_with(text, SLICE("}"))) {
        if (text.len)
            set_secret_octets(r, t, t->value, text, "the text");
        return;
    }
    slice name = slice_tail(slice_head(text, text.len - 1), 2);
    const char *value = slice_find_byte(name, 0) == SLICE_NOT_FOUND ? getenv(arena_cstr(&r->scratch, name)) : NULL;
    if (value)
        set_secret_octets(r, t, t->value, slice_from_cstr(value), "the environment variable");
    else
        mistake_add(r->mistakes, t->value->source->name, t->value->line, t->value->column,
                    reader_option_path(r, t->id, t->option->name), "the environment variable " SLICE_FMT " is not set",
                    SLICE_ARG(name));
}

/* Content as it is kept: of PEM files the blocks, of alias files all of it. */
static void keep_content(struct reader *r, const struct target *t, const struct node *at, slice content)
{
    slice *to = option_content(t->option, t->item);
    struct text kept = { 0 };
    bool is_pem = !slice_eq(t->option->name, SLICE("alias_file"));
    if (is_pem)
        text_add_pem_blocks(&kept, content);
    else
        text_add(&kept, content);
    const char *problem = !slice_is_utf8(text_slice(&kept)) ? "the file is not UTF-8 text"
                          : is_pem && kept.len == 0 ? "nothing in PEM form (-----BEGIN ...-----) is in this file"
                                                    : NULL;
    if (problem)
        reader_mistake_at(r, at, reader_option_path(r, t->id, t->option->name), problem);
    *to = arena_copy(&r->config->memory, text_slice(&kept));
    text_wipe_free(&kept);
}

static void set_file(struct reader *r, const struct target *t)
{
    const struct node *parts[2] = { t->value, NULL };
    if (t->value->kind == NODE_MAPPING) {
        static const char *const names[2] = { "file", "content" };
        parts[0] = NULL;
        if (!read_parts(r, t, names, parts))
            return;
    }
    slice *path = option_field(t->option, t->item);
    struct text why = { 0 };
    if (parts[0] && !value_parse(t->option, parts[0]->text, &r->config->memory, path, &why))
        mistake_in_value(r, t, parts[0], &why);
    else if (parts[0])
        *path = path_below(&r->config->memory, parts[0]->source->folder, *path);
    struct text content = { 0 };
    if (parts[1] && option_has_content(t->option))
        keep_content(r, t, parts[1], parts[1]->text);
    else if (parts[1])
        reader_mistake_at(r, parts[1], reader_option_path(r, t->id, t->option->name), "expected the path of a file");
    else if (path->len && option_has_content(t->option) &&
             read_content(r, t, parts[0], *path, CONTENT_FILE_MAX, &content))
        keep_content(r, t, parts[0], text_slice(&content));
    text_wipe_free(&content);
    text_free(&why);
}

static void set_option(struct reader *r, const struct target *t)
{
    const struct node *value = t->value;
    bool takes_mapping =
        t->option->type == OPTION_SECRET || (t->option->type == OPTION_FILE && option_has_content(t->option));
    bool is_expected = value->kind == NODE_SCALAR || (value->kind == NODE_MAPPING && takes_mapping) ||
                       (value->kind == NODE_LIST && option_is_list(t->option));
    struct text why = { 0 };
    if (!is_expected)
        mistake_of_kind(r, t, value, option_type_expected(t->option->type));
    else if (option_is_list(t->option))
        set_list(r, t);
    else if (t->option->type == OPTION_SECRET)
        set_secret(r, t);
    else if (t->option->type == OPTION_FILE)
        set_file(r, t);
    else if (!value_parse(t->option, value->text, &r->config->memory, option_field(t->option, t->item), &why))
        mistake_in_value(r, t, value, &why);
    text_free(&why);
}

/* A name that is not in the section: what was meant, or where it belongs. */
static void mistake_of_name(struct reader *r, enum section_id id, const struct node *key)
{
    const struct section *section = &config_sections[id];
    struct nearest nearest = nearest_start(key->text);
    slice elsewhere = { 0 };
    for (size_t i = 0; i < section->option_count; i++)
        nearest_offer(&nearest, section->options[i].name);
    for (size_t i = 0; i < SECTIONS; i++) {
        if (id == SECTION_SERVER && i != id)
            nearest_offer(&nearest, config_sections[i].name);
        if (i != id && section_find_option(&config_sections[i], key->text))
            elsewhere = config_sections[i].name.len ? config_sections[i].name : SLICE("the top of the file");
    }
    if (id == SECTION_SERVER)
        nearest_offer(&nearest, SLICE("include"));
    struct text why = { 0 };
    text_add_cstr(&why, "unknown option");
    text_add_nearest(&why, &nearest);
    if (!nearest.best.len && config_find_section(key->text))
        text_add_cstr(&why, "; a section of that name stands at the top of the file: indent it less");
    else if (!nearest.best.len && elsewhere.len)
        text_add_format(&why, "; there is one of that name in " SLICE_FMT, SLICE_ARG(elsewhere));
    struct text name = { 0 };
    text_add_quoted(&name, key->text);
    slice shown = slice_head(slice_tail(text_slice(&name), 1), name.len - 2);
    reader_mistake_at(r, key, reader_option_path(r, id, shown), text_cstr(&why));
    text_free(&name);
    text_free(&why);
}

static void read_mapping(struct reader *r, enum section_id id, void *item, struct item_places *places,
                         const struct node *mapping)
{
    const struct section *section = &config_sections[id];
    for (const struct node *key = mapping->first; key; key = key->next) {
        bool is_other =
            id == SECTION_SERVER && (config_find_section(key->text) || slice_eq(key->text, SLICE("include")));
        if (key->kind != NODE_SCALAR || !key->value || is_other)
            continue;
        const struct option *o = section_find_option(section, key->text);
        if (!o) {
            mistake_of_name(r, id, key);
            continue;
        }
        const struct node **place = &places->options[o - section->options];
        if (*place) {
            mistake_add(r->mistakes, key->source->name, key->line, key->column, reader_option_path(r, id, o->name),
                        "is given twice; the first is at " SLICE_FMT ":%u", SLICE_ARG((*place)->source->name),
                        (*place)->line);
            continue;
        }
        *place = key;
        if (key->value->kind != NODE_BAD)
            set_option(r, &(struct target){ id, o, item, key->value });
    }
}

static void set_presets(struct reader *r, const struct section *section, void *item)
{
    for (size_t i = 0; i < section->option_count; i++)
        value_set_preset(&section->options[i], &r->config->memory, option_field(&section->options[i], item));
}

static void check_required(struct reader *r, enum section_id id, size_t index)
{
    const struct section *section = &config_sections[id];
    for (size_t i = 0; i < section->option_count && r->is_whole; i++)
        if (!section->options[i].preset && !r->gathered[id].places[index].options[i])
            reader_mistake(r, id, index, arena_cstr(&r->scratch, section->options[i].name), "is missing: %s",
                           section->options[i].manual);
}

void reader_read_section(struct reader *r, enum section_id id)
{
    const struct section *section = &config_sections[id];
    struct gathered *g = &r->gathered[id];
    size_t count = section->is_list ? g->count : 1;
    g->places = ARENA_NEW_ARRAY(&r->scratch, struct item_places, count ? count : 1);
    if (section->is_list) {
        void *items = arena_alloc_array(&r->config->memory, count ? count : 1, section->item_octets);
        memcpy((char *)r->config + section->offset, &items, sizeof(items));
        memcpy((char *)r->config + section->count_offset, &count, sizeof(count));
    }
    for (size_t i = 0; i < count; i++) {
        struct item_places *places = &g->places[i];
        places->options = ARENA_NEW_ARRAY(&r->scratch, const struct node *, section->option_count);
        void *item = section_item(section, r->config, i);
        set_presets(r, section, item);
        size_t first = section->is_list ? i : 0, end = section->is_list ? i + 1 : g->count;
        for (size_t m = first; m < end; m++)
            read_mapping(r, id, item, places, g->mappings[m]);
        places->mapping = first < g->count ? g->mappings[first] : NULL;
        check_required(r, id, i);
    }
}
