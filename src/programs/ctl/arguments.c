#include "programs/ctl/arguments.h"
#include "base/memory.h"
#include "base/nearest.h"
#include "programs/ctl/protocol.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void arguments_list_add(struct argument_list *list, const char *item)
{
    /* Doubled at each power of two. */
    if ((list->count & (list->count + 1)) == 0)
        list->items = memory_resize(list->items, (list->count * 2 + 1) * sizeof(*list->items));
    list->items[list->count++] = item;
}

void arguments_list_free(struct argument_list *list)
{
    memory_free(list->items);
    *list = (struct argument_list){ 0 };
}

static bool is_command_word(slice word)
{
    for (size_t i = 0; i < word.len; i++)
        if (word.ptr[i] != '-' && (word.ptr[i] < 'a' || word.ptr[i] > 'z'))
            return false;
    return word.len > 0 && word.ptr[0] != '-';
}

/* "queue list" of "queue list [FILTER...]", "user add" of "user add ADDRESS", "config" of "config show|schema". */
static slice command_words(const struct arguments *arguments)
{
    slice usage = slice_from_cstr(arguments->usage), rest = usage, word;
    size_t end = 0;
    for (bool more = true; more;) {
        rest = slice_cut(rest, ' ', &word, &more);
        if (!is_command_word(word))
            break;
        end = (size_t)(word.ptr - usage.ptr) + word.len;
    }
    return slice_head(usage, end);
}

int arguments_mistake(const struct arguments *arguments, const char *format, ...)
{
    slice command = command_words(arguments);
    va_list values;
    va_start(values, format);
    fprintf(stderr, "postrider " SLICE_FMT ": ", SLICE_ARG(command));
    vfprintf(stderr, format, values);
    fprintf(stderr, "\nTry: postrider " SLICE_FMT " --help\n", SLICE_ARG(command));
    va_end(values);
    return EXIT_USAGE;
}

static void print_row(const struct argument *row)
{
    struct text left = { 0 };
    if (row->letter)
        text_add_format(&left, "-%c, ", row->letter);
    else
        text_add(&left, SLICE("    "));
    text_add_format(&left, "--%s", row->name);
    if (row->placeholder)
        text_add_format(&left, " %s", row->placeholder);
    printf("  %-32s %s\n", text_cstr(&left), row->help);
    text_free(&left);
}

static void print_help(const struct arguments *arguments)
{
    printf("Usage: postrider %s\n\n%s\n\nOptions:\n", arguments->usage, arguments->about);
    for (size_t i = 0; i < arguments->count; i++)
        print_row(&arguments->rows[i]);
    printf("  %-32s %s\n\nExamples:\n%s", "-h, --help", "this text", arguments->examples);
}

static const struct argument *find_by_name(const struct arguments *arguments, slice name)
{
    for (size_t i = 0; i < arguments->count; i++)
        if (slice_eq(slice_from_cstr(arguments->rows[i].name), name))
            return &arguments->rows[i];
    return NULL;
}

static const struct argument *find_by_letter(const struct arguments *arguments, char letter)
{
    for (size_t i = 0; i < arguments->count; i++)
        if (arguments->rows[i].letter && arguments->rows[i].letter == letter)
            return &arguments->rows[i];
    return NULL;
}

static bool say_unknown(const struct arguments *arguments, slice name, const char *word)
{
    struct nearest nearest = nearest_start(name);
    struct text hint = { 0 };
    for (size_t i = 0; i < arguments->count; i++)
        nearest_offer(&nearest, slice_from_cstr(arguments->rows[i].name));
    if (nearest.best.len)
        text_add_format(&hint, "; did you mean --" SLICE_FMT "?", SLICE_ARG(nearest.best));
    arguments_mistake(arguments, "unknown option %s%s", word, text_cstr(&hint));
    text_free(&hint);
    return false;
}

static bool set_value(const struct arguments *arguments, const struct argument *row, const char *value)
{
    slice text = slice_from_cstr(value);
    switch (row->kind) {
    case ARGUMENT_FLAG:
        *(bool *)row->value = true;
        return true;
    case ARGUMENT_TEXT:
        *(const char **)row->value = value;
        return true;
    case ARGUMENT_LIST:
        if (((struct argument_list *)row->value)->count >= ARGUMENT_LIST_MAX) {
            arguments_mistake(arguments, "--%s is given too often", row->name);
            return false;
        }
        arguments_list_add(row->value, value);
        return true;
    case ARGUMENT_NUMBER:
        if (parse_u64(text, row->value))
            return true;
        arguments_mistake(arguments, "--%s wants a number, not '%s'", row->name, value);
        return false;
    case ARGUMENT_DURATION:
        if (parse_duration(text, row->value))
            return true;
        arguments_mistake(arguments, "--%s wants a duration such as 30m, 1h30m or 5d, not '%s'", row->name, value);
        return false;
    }
    return false;
}

/* One word that begins with '-', and its value, which may be the next word. *place moves on to the last one used. */
static bool read_option(const struct arguments *arguments, int argc, char **argv, int *place)
{
    const char *word = argv[*place];
    bool is_long = word[1] == '-', has_value = false;
    slice name, value = slice_cut(slice_from_cstr(word + 2), '=', &name, &has_value);
    const struct argument *row = is_long ? find_by_name(arguments, name) : find_by_letter(arguments, word[1]);
    if (!row)
        return say_unknown(arguments, is_long ? name : slice_from_cstr(word + 1), word);
    if (!is_long && word[2]) { /* -xVALUE */
        value = slice_from_cstr(word + 2);
        has_value = true;
    } else if (!is_long) {
        has_value = false;
    }
    if (row->kind == ARGUMENT_FLAG && has_value) {
        arguments_mistake(arguments, "--%s takes no value", row->name);
        return false;
    }
    if (row->kind == ARGUMENT_FLAG || has_value)
        return set_value(arguments, row, row->kind == ARGUMENT_FLAG ? "" : value.ptr);
    if (*place + 1 >= argc) {
        arguments_mistake(arguments, "--%s wants a value: %s", row->name, row->placeholder);
        return false;
    }
    return set_value(arguments, row, argv[++*place]);
}

static bool read_alone(const struct arguments *arguments, const char *word)
{
    if (!arguments->alone) {
        arguments_mistake(arguments, "'%s' is not understood here", word);
        return false;
    }
    if (arguments->alone->count >= ARGUMENT_LIST_MAX) {
        arguments_mistake(arguments, "too many arguments");
        return false;
    }
    arguments_list_add(arguments->alone, word);
    return true;
}

bool arguments_read(const struct arguments *arguments, int argc, char **argv, int *exit_code)
{
    bool only_words = false;
    for (int place = 1; place < argc; place++) {
        const char *word = argv[place];
        bool is_option = !only_words && word[0] == '-' && word[1];
        if (is_option && (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)) {
            print_help(arguments);
            *exit_code = EXIT_SUCCESS;
            return false;
        }
        if (is_option && strcmp(word, "--") == 0) {
            only_words = true;
            continue;
        }
        *exit_code = EXIT_USAGE;
        if (!(is_option ? read_option(arguments, argc, argv, &place) : read_alone(arguments, word)))
            return false;
    }
    return true;
}
