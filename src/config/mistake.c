#include "config/mistake.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void mistake_add(struct config_mistakes *mistakes, slice file, unsigned line, unsigned column, slice option,
                 const char *format, ...)
{
    if (mistakes->count == CONFIG_MISTAKES_MAX)
        return;
    struct config_mistake *m = &mistakes->items[mistakes->count++];
    if (mistakes->count == CONFIG_MISTAKES_MAX) {
        *m = (struct config_mistake){ .file = arena_copy(&mistakes->memory, file),
                                      .what = SLICE("there are more mistakes than are shown here") };
        return;
    }
    char *what = NULL;
    va_list arguments;
    va_start(arguments, format);
    int len = vasprintf(&what, format, arguments);
    va_end(arguments);
    *m = (struct config_mistake){
        .file = arena_copy(&mistakes->memory, file),
        .line = line,
        .column = column,
        .option = arena_copy(&mistakes->memory, option),
        .what = arena_copy(&mistakes->memory, len < 0 ? SLICE("out of memory") : slice_from(what, (size_t)len)),
    };
    if (len >= 0)
        free(what);
}

static size_t file_rank(const struct config_mistakes *mistakes, slice file)
{
    size_t i = 0;
    while (i < mistakes->count && !slice_eq(mistakes->items[i].file, file))
        i++;
    return i;
}

void mistakes_sort(struct config_mistakes *mistakes)
{
    size_t ranks[CONFIG_MISTAKES_MAX];
    for (size_t i = 0; i < mistakes->count; i++)
        ranks[i] = file_rank(mistakes, mistakes->items[i].file);
    /* By insertion: stable, and there are never many. */
    for (size_t i = 1; i < mistakes->count; i++) {
        struct config_mistake m = mistakes->items[i];
        if (mistakes->count == CONFIG_MISTAKES_MAX && i + 1 == mistakes->count)
            break; /* "there are more" stays last */
        size_t rank = ranks[i], to = i;
        for (; to > 0; to--) {
            const struct config_mistake *before = &mistakes->items[to - 1];
            bool is_later = ranks[to - 1] > rank ||
                            (ranks[to - 1] == rank &&
                             (before->line > m.line || (before->line == m.line && before->column > m.column)));
            if (!is_later)
                break;
            mistakes->items[to] = *before;
            ranks[to] = ranks[to - 1];
        }
        mistakes->items[to] = m;
        ranks[to] = rank;
    }
}

void config_mistakes_free(struct config_mistakes *mistakes)
{
    arena_free(&mistakes->memory);
    mistakes->count = 0;
}

void text_add_config_mistake(struct text *text, const struct config_mistake *m)
{
    text_add(text, m->file);
    if (m->line) {
        text_add_byte(text, ':');
        text_add_u64(text, m->line);
        text_add_byte(text, ':');
        text_add_u64(text, m->column);
    }
    if (m->file.len)
        text_add_cstr(text, ": ");
    text_add(text, m->option);
    if (m->option.len)
        text_add_cstr(text, ": ");
    text_add(text, m->what);
}

void text_add_quoted(struct text *text, slice value)
{
    enum { SHOWN_MAX = 60 };
    slice shown = slice_head(value, SHOWN_MAX);
    /* Not in the middle of a UTF-8 sequence. */
    while (shown.len && shown.len < value.len && ((unsigned char)value.ptr[shown.len] & 0xC0) == 0x80)
        shown.len--;
    text_add_byte(text, '"');
    for (size_t i = 0; i < shown.len; i++) {
        unsigned char c = (unsigned char)shown.ptr[i];
        text_add_byte(text, c < 0x20 || c == 0x7f ? '?' : (char)c);
    }
    text_add_cstr(text, shown.len < value.len ? "...\"" : "\"");
}
