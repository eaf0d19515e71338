#include "config/table.h"
/*
 * reference - the pages made from the option table: docs/configuration.md and postrider.yaml(5).
 */

static const char *const type_names[] = {
    [OPTION_BOOL] = "true/false",
    [OPTION_COUNT] = "number",
    [OPTION_DURATION] = "duration",
    [OPTION_SIZE] = "size",
    [OPTION_TEXT] = "text",
    [OPTION_NAME] = "domain name",
    [OPTION_FILE] = "file",
    [OPTION_SECRET] = "secret",
    [OPTION_ADDRESSES] = "ADDR:PORT, one or a list",
    [OPTION_NAMES] = "domain names",
    [OPTION_TEXTS] = "text, one or a list",
    [OPTION_NETWORKS] = "networks, one or a list",
    [OPTION_CHOICE] = "word",
};
_Static_assert(COUNT(type_names) == OPTION_TYPES, "every type has a name");

/* The forms of values: name, what it means. Both pages tell the same. */
static const struct {
    const char *type, *meaning;
} forms[] = {
    { "true/false", "`true` or `false`, nothing else." },
    { "number", "A whole number, without a unit." },
    { "duration", "Numbers with units: `250ms`, `90s`, `5m`, `1h30m`, `5d`, `2w`. A number without a unit is refused, "
                  "except `0`." },
    { "size", "Octets, or with a unit that is a power of 1024: `512`, `64K`, `25M`, `1G`." },
    { "text", "One line of text. Quotes are needed where YAML wants them: around `*`, and around an IPv6 address with "
              "a port." },
    { "domain name", "Letters, digits, hyphens and dots; upper and lower case are the same. Names outside ASCII are "
                     "written in their `xn--` form." },
    { "file", "A path. A relative one starts at the folder of the configuration file that names it. What is in the "
              "file may also stand in place: `{content: TEXT}`." },
    { "secret", "A text; or `${NAME}`, the environment variable; or `{file: PATH}`, the line that is in a file; or "
                "`{text: TEXT}`, the text even where it looks like a variable." },
    { "ADDR:PORT", "`192.0.2.1:25`, `\"[2001:db8::1]:25\"`, `0.0.0.0:25` for every IPv4 address, `\"[::]:25\"` for "
                   "every IPv6 address." },
    { "networks", "`192.0.2.0/24`, `2001:db8::/32`, or one address." },
    { "one or a list", "`a`, or `[a, b]`, or each on a line of its own that begins with `- `." },
};

static const char include_text[] =
    "`include: FILE` (or a list of files) at the top of the file reads other files as if their sections stood there: "
    "lists are joined in the order of the files, an option that is given twice is a mistake. "
    "A relative path starts at the folder of the file that names it.";
static const char check_text[] = "`postrider check-config -c FILE` finds every mistake, with its line and column. "
                                 "SIGHUP makes a running server read the file "
                                 "again; options marked *restart* take effect only when the server is started anew. "
                                 "Anchors, aliases and tags of YAML are "
                                 "not supported.";

/* --- Markdown ----------------------------------------------------------------------------------------------------- */

static void add_cell(struct text *page, const char *cell)
{
    for (; *cell; cell++) {
        if (*cell == '|' || *cell == '*' || *cell == '<')
            text_add_byte(page, '\\');
        text_add_byte(page, *cell);
    }
}

static void add_preset(struct text *page, const struct option *o, const char *before, const char *after)
{
    if (!o->preset)
        text_add_cstr(page, "required");
    else if (!*o->preset)
        text_add_cstr(page, "empty");
    else
        text_add_format(page, "%s%s%s", before, o->preset, after);
}

static void add_markdown_option(struct text *page, const struct option *o)
{
    text_add_format(page, "| `" SLICE_FMT "` | %s | ", SLICE_ARG(o->name), type_names[o->type]);
    add_preset(page, o, "`", "`");
    text_add_cstr(page, " | ");
    if (o->lowest || o->highest)
        text_add_format(page, "%s to %s", o->lowest ? o->lowest : "", o->highest ? o->highest : "");
    for (size_t i = 0; o->words && i < o->words->count; i++)
        text_add_format(page, "%s`" SLICE_FMT "`", i ? ", " : "", SLICE_ARG(o->words->words[i]));
    text_add_cstr(page, " | ");
    add_cell(page, o->manual);
    text_add_cstr(page, o->change == RESTART ? " (*restart*)" : "");
    text_add_cstr(page, " |\n");
}

void config_write_reference(struct text *page)
{
    text_add_cstr(page,
                  "# Configuration\n\n"
                  "<!-- Made by `postrider config reference` from src/config/options.def: change it there. -->\n\n"
                  "The configuration is one YAML file, usually `/etc/postrider/postrider.yaml`; "
                  "[postrider.yaml](postrider.yaml) is a commented sample. Every option has a preset unless it is "
                  "marked as required, so a file may be short. ");
    text_add_cstr(page, check_text);
    text_add_cstr(
        page,
        "\n\nEditors with a YAML language server complete and check the file when its first line is\n\n"
        "    # yaml-language-server: $schema=/usr/share/postrider/schema.json\n\n"
        "with the place where [schema.json](schema.json) is.\n\n## Values\n\n| written as | means |\n|---|---|\n");
    for (size_t i = 0; i < COUNT(forms); i++)
        text_add_format(page, "| %s | %s |\n", forms[i].type, forms[i].meaning);
    text_add_format(page, "\n## include\n\n%s\n", include_text);
    for (size_t s = 0; s < SECTIONS; s++) {
        const struct section *section = &config_sections[s];
        if (section->name.len)
            text_add_format(page, "\n## " SLICE_FMT "\n\n", SLICE_ARG(section->name));
        else
            text_add_cstr(page, "\n## The top of the file\n\n");
        text_add_format(page, "%s\n\n| option | type | preset | allowed | meaning |\n|---|---|---|---|---|\n",
                        section->manual);
        for (size_t i = 0; i < section->option_count; i++)
            add_markdown_option(page, &section->options[i]);
    }
}

/* --- man(7) ------------------------------------------------------------------------------------------------------- */

/* Escapes for troff; `code` becomes bold, *word* italic. */
static void add_troff(struct text *page, const char *text)
{
    bool is_bold = false, is_italic = false;
    for (const char *c = text; *c; c++) {
        if (*c == '`') {
            is_bold = !is_bold;
            text_add_cstr(page, is_bold ? "\\fB" : "\\fR");
        } else if (*c == '*' && !is_bold && (is_italic || ascii_is_alpha(c[1]))) {
            is_italic = !is_italic;
            text_add_cstr(page, is_italic ? "\\fI" : "\\fR");
        } else if (*c == '\\') {
            text_add_cstr(page, "\\e");
        } else if (*c == '-') {
            text_add_cstr(page, "\\-");
        } else if ((*c == '.' || *c == '\'') && (c == text || c[-1] == '\n')) {
            text_add_format(page, "\\&%c", *c);
        } else if (strncmp(c, "§", 2) == 0) {
            text_add_cstr(page, "\\(sc");
            c++;
        } else {
            text_add_byte(page, *c);
        }
    }
}

static void add_troff_option(struct text *page, const struct option *o)
{
    text_add_format(page, ".TP\n\\fB" SLICE_FMT "\\fR (%s", SLICE_ARG(o->name), type_names[o->type]);
    struct text rest = { 0 };
    text_add_cstr(&rest, o->preset && *o->preset ? ", preset " : o->preset ? "" : ", ");
    if (!o->preset || *o->preset)
        add_preset(&rest, o, "", "");
    if (o->lowest || o->highest)
        text_add_format(&rest, ", %s to %s", o->lowest ? o->lowest : "", o->highest ? o->highest : "");
    text_add_cstr(&rest, o->change == RESTART ? ", restart)\n" : ")\n");
    add_troff(page, text_cstr(&rest));
    text_free(&rest);
    add_troff(page, o->manual);
    text_add_byte(page, '\n');
}

void config_write_manual(struct text *page)
{
    text_add_cstr(
        page, ".\\\" Made by `postrider config manual` from src/config/options.def: change it there.\n"
              ".TH POSTRIDER.YAML 5 \"\" \"Postrider\" \"File formats\"\n.SH NAME\n"
              "postrider.yaml \\- configuration of the Postrider mail server\n.SH DESCRIPTION\n"
              "The configuration is one YAML file, usually \\fI/etc/postrider/postrider.yaml\\fR. Every option has a "
              "preset unless it is marked as required.\n");
    add_troff(page, check_text);
    text_add_cstr(page, "\n.PP\n");
    add_troff(page, include_text);
    text_add_cstr(page, "\n.SH VALUES\n");
    for (size_t i = 0; i < COUNT(forms); i++) {
        text_add_format(page, ".TP\n\\fB%s\\fR\n", forms[i].type);
        add_troff(page, forms[i].meaning);
        text_add_byte(page, '\n');
    }
    text_add_cstr(page, ".SH OPTIONS\n");
    for (size_t s = 0; s < SECTIONS; s++) {
        const struct section *section = &config_sections[s];
        if (section->name.len)
            text_add_format(page, ".SS " SLICE_FMT "\n", SLICE_ARG(section->name));
        else
            text_add_cstr(page, ".SS The top of the file\n");
        add_troff(page, section->manual);
        text_add_byte(page, '\n');
        for (size_t i = 0; i < section->option_count; i++)
            add_troff_option(page, &section->options[i]);
    }
    text_add_cstr(page, ".SH SEE ALSO\n.BR postrider (1)\n");
}
