#include "config/node.h"
#include "base/memory.h"
#include "config/mistake.h"
#include <yaml.h>

struct builder {
    yaml_parser_t parser;
    yaml_event_t event;
    slice yaml;
    const struct source *source;
    struct arena *memory;
    struct config_mistakes *mistakes;
    struct node *last;
    size_t count;
    unsigned depth;
    bool failed; /* the rest of the file cannot be read */
};

const char *node_kind_name(enum node_kind kind)
{
    static const char *const names[] = {
        [NODE_NOTHING] = "nothing",       [NODE_SCALAR] = "a plain value",
        [NODE_LIST] = "a list",           [NODE_MAPPING] = "options (name: value)",
        [NODE_BAD] = "something refused",
    };
    return names[kind];
}

static void mistake_at(struct builder *b, const yaml_mark_t *mark, const char *what)
{
    mistake_add(b->mistakes, b->source->name, (unsigned)mark->line + 1, (unsigned)mark->column + 1, SLICE(""), "%s",
                what);
}

static slice line_at(slice yaml, size_t line)
{
    slice found = { 0 };
    for (size_t i = 0; i <= line; i++)
        if (!slice_next_line(&yaml, &found))
            return SLICE("");
    return found;
}

/* libyaml knows what it met, not what a writer of mail configurations usually meant by it. */
static const char *syntax_hint(slice line, const char *context, const char *problem)
{
    if (strstr(problem, "cannot start any token") && slice_find_byte(line, '\t') != SLICE_NOT_FOUND)
        return "; indent with spaces, not with tabs";
    if (slice_find(line, SLICE(": ${")) != SLICE_NOT_FOUND)
        return "; ${NAME} inside { } needs quotes: \"${NAME}\"";
    if (slice_find(line, SLICE("]:")) != SLICE_NOT_FOUND)
        return "; an IPv6 address needs quotes: \"[::1]:25\"";
    if (context && strstr(context, "scanning an alias"))
        return "; a value that begins with * needs quotes: \"*\"";
    if (strstr(problem, "cannot start any token"))
        return "; a value that begins with @, ` or % needs quotes";
    if (strstr(problem, "mapping values are not allowed"))
        return "; is the line before complete, and is this one indented as its neighbours? A value that holds \": \" "
               "needs quotes";
    if (strstr(problem, "did not find expected key") || strstr(problem, "could not find expected ':'"))
        return "; are the lines of one section indented alike, each as `name: value`?";
    return "";
}

static void mistake_of_parser(struct builder *b)
{
    const yaml_parser_t *p = &b->parser;
    const char *problem = p->problem ? p->problem : "cannot be read";
    b->failed = true;
    if (p->error == YAML_READER_ERROR) {
        slice before = slice_head(b->yaml, p->problem_offset), last = SLICE("");
        unsigned line = 1;
        for (size_t i = 0; i < before.len; i++)
            line += before.ptr[i] == '\n';
        size_t newline = slice_find_byte_last(before, '\n');
        last = newline == SLICE_NOT_FOUND ? before : slice_tail(before, newline + 1);
        mistake_add(b->mistakes, b->source->name, line, (unsigned)last.len + 1, SLICE(""), "not YAML: %s", problem);
        return;
    }
    slice line = line_at(b->yaml, p->problem_mark.line);
    mistake_add(b->mistakes, b->source->name, (unsigned)p->problem_mark.line + 1, (unsigned)p->problem_mark.column + 1,
                SLICE(""), "not YAML: %s%s%s%s", p->context ? p->context : "", p->context ? ", " : "", problem,
                syntax_hint(line, p->context, problem));
}

static void drop_event(struct builder *b)
{
    if (b->event.type == YAML_SCALAR_EVENT && b->event.data.scalar.value)
        memory_wipe(b->event.data.scalar.value, b->event.data.scalar.length);
    yaml_event_delete(&b->event);
}

static bool next_event(struct builder *b)
{
    drop_event(b);
    if (!b->failed && !yaml_parser_parse(&b->parser, &b->event))
        mistake_of_parser(b);
    return !b->failed;
}

static struct node *node_new(struct builder *b, enum node_kind kind)
{
    struct node *n = ARENA_NEW(b->memory, struct node);
    n->kind = kind;
    n->line = (unsigned)b->event.start_mark.line + 1;
    n->column = (unsigned)b->event.start_mark.column + 1;
    n->source = b->source;
    n->earlier = b->last;
    b->last = n;
    if (++b->count > NODES_MAX && !b->failed) {
        mistake_at(b, &b->event.start_mark, "the file holds more values than are allowed (4 million)");
        b->failed = true;
    }
    return n;
}

static bool is_null_word(slice text)
{
    return text.len == 0 || slice_eq(text, SLICE("~")) || slice_eq_nocase(text, SLICE("null"));
}

static struct node *build_scalar(struct builder *b)
{
    slice text = slice_from((const char *)b->event.data.scalar.value, b->event.data.scalar.length);
    if (b->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE && is_null_word(text))
        return node_new(b, NODE_NOTHING);
    struct node *n = node_new(b, NODE_SCALAR);
    n->text = arena_copy(b->memory, text);
    return n;
}

static struct node *build(struct builder *b);

static void build_items(struct builder *b, struct node *list)
{
    struct node **to = &list->first;
    while (next_event(b) && b->event.type != YAML_SEQUENCE_END_EVENT) {
        *to = build(b);
        to = &(*to)->next;
    }
}

static void build_pairs(struct builder *b, struct node *mapping)
{
    struct node **to = &mapping->first;
    while (next_event(b) && b->event.type != YAML_MAPPING_END_EVENT) {
        yaml_mark_t mark = b->event.start_mark;
        struct node *key = build(b);
        if (key->kind != NODE_SCALAR && key->kind != NODE_BAD && !b->failed) {
            mistake_at(b, &mark, "expected the name of an option");
            key->kind = NODE_BAD;
        }
        *to = key;
        to = &key->next;
        if (!next_event(b))
            return;
        key->value = build(b);
    }
}

/* What is refused wherever it stands. True: the value itself still can be read. */
static bool check_properties(struct builder *b)
{
    const yaml_event_t *e = &b->event;
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (e->type == YAML_SCALAR_EVENT) {
        anchor = e->data.scalar.anchor;
        tag = e->data.scalar.tag;
    } else if (e->type == YAML_SEQUENCE_START_EVENT) {
        anchor = e->data.sequence_start.anchor;
        tag = e->data.sequence_start.tag;
    } else if (e->type == YAML_MAPPING_START_EVENT) {
        anchor = e->data.mapping_start.anchor;
        tag = e->data.mapping_start.tag;
    }
    if (anchor)
        mistake_at(b, &e->start_mark, "anchors (&name) are not supported; a value that begins with & needs quotes");
    if (tag)
        mistake_at(b, &e->start_mark, "tags (!name) are not supported; a value that begins with ! needs quotes");
    return !anchor && !tag;
}

/* The value that begins with the current event; its last event is current afterwards. Never NULL. */
static struct node *build(struct builder *b)
{
    bool is_fine = check_properties(b);
    struct node *n;
    if (b->event.type == YAML_SCALAR_EVENT) {
        n = build_scalar(b);
    } else if (b->event.type == YAML_ALIAS_EVENT) {
        mistake_at(b, &b->event.start_mark,
                   "aliases (*name) are not supported; a value that begins with * needs quotes: \"*\"");
        n = node_new(b, NODE_BAD);
    } else if (b->depth == NODE_DEPTH_MAX) {
        mistake_at(b, &b->event.start_mark, "nested too deeply");
        n = node_new(b, NODE_BAD);
        b->failed = true;
    } else {
        bool is_list = b->event.type == YAML_SEQUENCE_START_EVENT;
        n = node_new(b, is_list ? NODE_LIST : NODE_MAPPING);
        b->depth++;
        (is_list ? build_items : build_pairs)(b, n);
        b->depth--;
    }
    if (!is_fine)
        n->kind = NODE_BAD;
    return n;
}

/* The whole stream: one document at most. */
static struct node *build_stream(struct builder *b)
{
    struct node *root = NULL;
    while (next_event(b) && b->event.type != YAML_STREAM_END_EVENT) {
        if (b->event.type == YAML_DOCUMENT_START_EVENT && root) {
            mistake_at(b, &b->event.start_mark, "a second document (---) is not supported");
            b->failed = true;
        } else if (b->event.type == YAML_SCALAR_EVENT || b->event.type == YAML_SEQUENCE_START_EVENT ||
                   b->event.type == YAML_MAPPING_START_EVENT || b->event.type == YAML_ALIAS_EVENT) {
            root = build(b);
        }
    }
    if (!root && !b->failed)
        root = node_new(b, NODE_NOTHING);
    return root;
}

/* Where the first octet that is not UTF-8 stands. */
static void mistake_of_encoding(const struct builder *b)
{
    unsigned line = 1;
    size_t start = 0;
    slice rest = b->yaml;
    for (size_t i = 0; i < b->yaml.len; i++) {
        if (b->yaml.ptr[i] != '\n')
            continue;
        if (!slice_is_utf8(slice_from(b->yaml.ptr + start, i - start)))
            break;
        line++;
        start = i + 1;
    }
    rest = slice_tail(b->yaml, start);
    slice good = slice_head(rest, rest.len < 4096 ? rest.len : 4096);
    while (good.len && !slice_is_utf8(good))
        good.len--;
    unsigned column = 1;
    for (size_t i = 0; i < good.len; i++)
        column += ((unsigned char)good.ptr[i] & 0xC0) != 0x80;
    mistake_add(b->mistakes, b->source->name, line, column, SLICE(""),
                "this octet (0x%02x) is not UTF-8; save the file as UTF-8",
                good.len < rest.len ? (unsigned char)rest.ptr[good.len] : 0);
}

struct node *node_read(struct arena *memory, slice yaml, const struct source *source, struct config_mistakes *mistakes,
                       struct node **last, bool *is_whole)
{
    *is_whole = false;
    struct builder b = { .yaml = yaml, .source = source, .memory = memory, .mistakes = mistakes, .last = *last };
    if (!slice_is_utf8(yaml)) {
        mistake_of_encoding(&b);
        return NULL;
    }
    if (!yaml_parser_initialize(&b.parser)) {
        mistake_add(mistakes, source->name, 0, 0, SLICE(""), "out of memory");
        return NULL;
    }
    yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)(yaml.ptr ? yaml.ptr : ""), yaml.len);
    struct node *root = build_stream(&b);
    drop_event(&b);
    yaml_parser_delete(&b.parser);
    *last = b.last;
    *is_whole = !b.failed;
    return root;
}

void node_wipe(struct node *last)
{
    for (struct node *n = last; n; n = n->earlier)
        if (n->text.len)
            memory_wipe((char *)(uintptr_t)n->text.ptr, n->text.len);
}
