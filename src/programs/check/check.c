#include "programs/check/check.h"
#include "base/memory.h"
#include "programs/ctl/arguments.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>

static const char standard_file[] = "/etc/postrider/postrider.yaml";

struct findings {
    struct config_mistakes mistakes, warnings;
};

static struct findings *findings_new(void) { return MEMORY_NEW(struct findings); }

static void findings_free(struct findings *f)
{
    config_mistakes_free(&f->mistakes);
    config_mistakes_free(&f->warnings);
    memory_free(f);
}

/* --- check-config ------------------------------------------------------------------------------------------------- */

static void warn_of_readers(const char *file, const struct config *config, struct config_mistakes *warnings)
{
    struct stat st;
    bool has_secret = false;
    for (size_t i = 0; i < config->account_count; i++)
        has_secret = has_secret || config->accounts[i].password.len || config->accounts[i].password_hash.len;
    for (size_t i = 0; i < config->route_count; i++)
        has_secret = has_secret || config->routes[i].password.len;
    if (has_secret && stat(file, &st) == 0 && (st.st_mode & S_IROTH) && warnings->count < CONFIG_MISTAKES_MAX)
        warnings->items[warnings->count++] = (struct config_mistake){
            .file = slice_from_cstr(file),
            .what = SLICE(
                "every user of this machine can read this file, and it tells secrets or where they are; chmod o-r"),
        };
}

static void print_text(FILE *to, const char *before, const struct config_mistakes *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct text line = { 0 };
        text_add_config_mistake(&line, &list->items[i]);
        fprintf(to, "%s%s\n", before, text_cstr(&line));
        text_free(&line);
    }
}

static json_t *string_of(slice text) { return json_stringn(text.len ? text.ptr : "", text.len); }

static json_t *list_of(const struct config_mistakes *list)
{
    json_t *array = json_array();
    for (size_t i = 0; i < list->count; i++) {
        const struct config_mistake *m = &list->items[i];
        json_t *item = json_object();
        json_object_set_new(item, "file", string_of(m->file));
        if (m->line) {
            json_object_set_new(item, "line", json_integer(m->line));
            json_object_set_new(item, "column", json_integer(m->column));
        }
        json_object_set_new(item, "option", string_of(m->option));
        json_object_set_new(item, "text", string_of(m->what));
        json_array_append_new(array, item);
    }
    return array;
}

static void print_json(const struct findings *f)
{
    json_t *all = json_object();
    json_object_set_new(all, "ok", json_boolean(f->mistakes.count == 0));
    json_object_set_new(all, "mistakes", list_of(&f->mistakes));
    json_object_set_new(all, "warnings", list_of(&f->warnings));
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

static void print_findings(const char *file, const struct findings *f)
{
    print_text(stderr, "", &f->mistakes);
    print_text(stderr, "warning: ", &f->warnings);
    if (f->mistakes.count)
        fprintf(stderr, "%s: %zu mistake%s\n", file, f->mistakes.count, f->mistakes.count == 1 ? "" : "s");
    else
        printf("%s: fine\n", file);
}

int check_config_main(int argc, char **argv)
{
    const char *file = standard_file;
    bool as_json = false;
    int code;
    const struct argument rows[] = {
        { "config", 'c', ARGUMENT_TEXT, &file, "FILE", "the file (default /etc/postrider/postrider.yaml)" },
        { "json", 0, ARGUMENT_FLAG, &as_json, NULL, "mistakes and warnings as JSON on stdout" },
    };
    const struct arguments arguments = {
        .usage = "check-config [-c FILE]",
        .about = "Finds every mistake in a configuration file, each with its line and column and what was expected.\n"
                 "Exit code 0: it can run; 78: it cannot.",
        .rows = rows,
        .count = COUNT(rows),
        .examples = "  postrider check-config -c postrider.yaml\n",
    };
    if (!arguments_read(&arguments, argc, argv, &code))
        return code;
    struct findings *f = findings_new();
    struct config *config = config_read_file(file, &f->mistakes);
    bool ok = config && check_deeply(config, &f->mistakes, &f->warnings);
    if (config)
        warn_of_readers(file, config, &f->warnings);
    if (as_json)
        print_json(f);
    else
        print_findings(file, f);
    config_release(config);
    findings_free(f);
    return ok ? EXIT_SUCCESS : EX_CONFIG;
}

/* --- config ------------------------------------------------------------------------------------------------------- */

static int show(const char *file)
{
    struct findings *f = findings_new();
    struct config *config = config_read_file(file, &f->mistakes);
    struct text yaml = { 0 };
    if (config)
        config_write_shown(&yaml, config);
    print_text(stderr, "", &f->mistakes);
    fwrite(text_cstr(&yaml), 1, yaml.len, stdout);
    int code = config ? EXIT_SUCCESS : EX_CONFIG;
    text_free(&yaml);
    config_release(config);
    findings_free(f);
    return code;
}

static const struct {
    const char *name;
    void (*write)(struct text *);
} pages[] = {
    { "reference", config_write_reference },
    { "schema", config_write_schema },
    { "manual", config_write_manual },
};

int config_main(int argc, char **argv)
{
    const char *file = standard_file;
    struct argument_list words = { 0 };
    int code = EX_USAGE;
    const struct argument rows[] = {
        { "config", 'c', ARGUMENT_TEXT, &file, "FILE", "show: the file (default /etc/postrider/postrider.yaml)" },
    };
    const struct arguments arguments = {
        .usage = "config show|reference|schema|manual",
        .about = "show: the options that differ from their presets, included files in place, secrets hidden.\n"
                 "reference: the page of all options (Markdown). schema: a JSON Schema for editors.\n"
                 "manual: the page postrider.yaml(5).",
        .rows = rows,
        .count = COUNT(rows),
        .examples = "  postrider config show -c postrider.yaml\n  postrider config schema > schema.json\n",
        .alone = &words,
    };
    if (!arguments_read(&arguments, argc, argv, &code)) {
        arguments_list_free(&words);
        return code;
    }
    const char *word = words.count == 1 ? words.items[0] : "";
    struct text page = { 0 };
    for (size_t i = 0; i < COUNT(pages); i++)
        if (strcmp(word, pages[i].name) == 0)
            pages[i].write(&page);
    if (page.len) {
        fwrite(page.ptr, 1, page.len, stdout);
        code = EXIT_SUCCESS;
    } else if (strcmp(word, "show") == 0) {
        code = show(file);
    } else {
        code = arguments_mistake(&arguments, "say what: show, reference, schema or manual");
    }
    text_free(&page);
    arguments_list_free(&words);
    return code;
}
