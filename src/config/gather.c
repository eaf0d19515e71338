#include "base/memory.h"
#include "config/files.h"
#include "config/mistake.h"
#include "config/reader.h"
#include <stdlib.h>
/*
 * gather - the first pass of reading: files that include files, and which mappings in them belong to which section.
 */
enum { INCLUDE_DEPTH_MAX = 8, INCLUDE_FILES_MAX = 1000, ALL_FILES_MAX = 128 * 1024 * 1024 };

static void gather(struct gathered *g, struct node *mapping)
{
    if (g->count == g->capacity) {
        g->capacity = g->capacity ? 2 * g->capacity : 8;
        g->mappings = memory_resize(g->mappings, g->capacity * sizeof(*g->mappings));
    }
    g->mappings[g->count++] = mapping;
}

static void gather_section(struct reader *r, const struct section *section, struct node *value)
{
    struct gathered *g = &r->gathered[section - config_sections];
    if (value->kind == NODE_NOTHING || value->kind == NODE_BAD)
        return;
    if (value->kind != (section->is_list ? NODE_LIST : NODE_MAPPING)) {
        struct text what = { 0 };
        text_add_format(&what, "expected %s, found %s",
                        section->is_list ? "a list (items that begin with \"- \")" : "options (name: value)",
                        node_kind_name(value->kind));
        reader_mistake_at(r, value, section->name, text_cstr(&what));
        text_free(&what);
        return;
    }
    if (!section->is_list) {
        gather(g, value);
        return;
    }
    for (struct node *item = value->first; item; item = item->next) {
        if (item->kind == NODE_MAPPING)
            gather(g, item);
        else if (item->kind != NODE_BAD)
            reader_mistake_at(r, item, section->name, "expected an item with options (- name: value)");
    }
}

struct chain { /* the files that are being read, the innermost first: to find a file that includes itself */
    slice path;
    const struct chain *outer;
    unsigned depth;
};
static void read_source(struct reader *r, slice yaml, const struct source *source, const struct chain *chain);

static void include_file(struct reader *r, const struct node *at, const struct chain *outer)
{
    slice path = path_below(&r->scratch, at->source->folder, at->text);
    struct chain chain = { path, outer, outer->depth + 1 };
    char *resolved = realpath(arena_cstr(&r->scratch, path), NULL);
    if (resolved)
        chain.path = arena_copy(&r->scratch, slice_from_cstr(resolved));
    free(resolved);
    struct text yaml = { 0 }, why = { 0 };
    for (const struct chain *c = outer; c && why.len == 0; c = c->outer)
        if (slice_eq(c->path, chain.path))
            text_add_cstr(&why, "includes itself");
    if (why.len == 0 && chain.depth > INCLUDE_DEPTH_MAX)
        text_add_format(&why, "is included too deeply (%d files within each other)", INCLUDE_DEPTH_MAX);
    if (why.len == 0 && ++r->files_read > INCLUDE_FILES_MAX)
        text_add_format(&why, "is one file too many (%d)", INCLUDE_FILES_MAX);
    if (why.len == 0 && file_read(arena_cstr(&r->scratch, path), CONFIG_FILE_MAX, &yaml, &why)) {
        r->octets_read += yaml.len;
        if (r->octets_read > ALL_FILES_MAX)
            text_add_cstr(&why, "is too large together with the files read before");
    }
    if (why.len) {
        mistake_add(r->mistakes, at->source->name, at->line, at->column, SLICE("include"), SLICE_FMT " " SLICE_FMT,
                    SLICE_ARG(path), SLICE_ARG(text_slice(&why)));
    } else {
        struct source *source = ARENA_NEW(&r->scratch, struct source);
        source->name = path;
        source->folder = path_folder(path);
        read_source(r, text_slice(&yaml), source, &chain);
    }
    text_wipe_free(&yaml);
    text_free(&why);
}

static void read_include(struct reader *r, const struct node *value, const struct chain *chain)
{
    const struct node *first = value->kind == NODE_LIST ? value->first : value;
    for (const struct node *n = first; n; n = value->kind == NODE_LIST ? n->next : NULL) {
        if (n->kind == NODE_SCALAR && n->text.len && slice_find_byte(n->text, 0) == SLICE_NOT_FOUND)
            include_file(r, n, chain);
        else if (n->kind != NODE_BAD)
            reader_mistake_at(r, n, SLICE("include"), "expected the path of a file, or a list of them");
    }
}

static bool is_seen(struct reader *r, struct node *seen[SECTIONS], size_t index, struct node *key)
{
    if (!seen[index]) {
        seen[index] = key;
        return false;
    }
    mistake_add(r->mistakes, key->source->name, key->line, key->column, key->text,
                "is given twice; the first is at line %u", seen[index]->line);
    return true;
}

static void read_source(struct reader *r, slice yaml, const struct source *source, const struct chain *chain)
{
    bool is_whole;
    struct node *root = node_read(&r->scratch, yaml, source, r->mistakes, &r->last_node, &is_whole);
    r->is_whole = r->is_whole && is_whole;
    if (!root || root->kind == NODE_NOTHING || root->kind == NODE_BAD)
        return;
    if (root->kind != NODE_MAPPING) {
        reader_mistake_at(r, root, SLICE(""), "expected options and sections (name: value) at the top of the file");
        return;
    }
    gather(&r->gathered[SECTION_SERVER], root);
    struct node *seen[SECTIONS] = { 0 }; /* [0]: include */
    for (struct node *key = root->first; key; key = key->next) {
        if (key->kind != NODE_SCALAR || !key->value)
            continue;
        const struct section *section = config_find_section(key->text);
        if (section && !is_seen(r, seen, (size_t)(section - config_sections), key))
            gather_section(r, section, key->value);
        else if (!section && slice_eq(key->text, SLICE("include")) && !is_seen(r, seen, 0, key))
            read_include(r, key->value, chain);
    }
}

void reader_gather(struct reader *r, slice yaml, const struct source *source, slice path)
{
    r->files_read = 1;
    r->octets_read = yaml.len;
    read_source(r, yaml, source, &(struct chain){ .path = path });
}
