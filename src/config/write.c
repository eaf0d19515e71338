#include "config/value.h"
/*
 * write - a config as YAML again. Every value is written with double quotes, whatever it is: then no value needs a
 * second thought about what YAML would make of it.
 */
struct writer {
    struct text *yaml;
    enum config_share share;
    bool is_for_people; /* secrets hidden, files by name, presets left out */
};

/* YAML 1.2 §5.7: what may not stand as itself between double quotes is escaped by its number. */
void text_add_yaml_quoted(struct text *yaml, slice text)
{
    text_add_byte(yaml, '"');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        unsigned char c1 = i + 1 < text.len ? (unsigned char)text.ptr[i + 1] : 0;
        unsigned char c2 = i + 2 < text.len ? (unsigned char)text.ptr[i + 2] : 0;
        unsigned code = c;
        size_t octets = 1;
        if (c == 0xC2) { /* U+0080..U+00BF: the first half is control characters, among them a line break */
            code = c1;
            octets = 2;
        } else if ((c & 0xF0) == 0xE0) {
            code = (unsigned)(c & 0x0F) << 12 | (unsigned)(c1 & 0x3F) << 6 | (c2 & 0x3F);
            octets = 3;
        }
        bool is_escaped = code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 ||
                          code == 0xFEFF || code == 0xFFFE || code == 0xFFFF;
        if (c == '"' || c == '\\') {
            text_add_byte(yaml, '\\');
            text_add_byte(yaml, (char)c);
        } else if (c == '\n') {
            text_add_cstr(yaml, "\\n");
        } else if (c < 0x80 ? is_escaped : octets > 1 && is_escaped) {
            text_add_format(yaml, "\\u%04x", code);
            i += octets - 1;
        } else {
            text_add_byte(yaml, (char)c);
        }
    }
    text_add_byte(yaml, '"');
}

static void write_list(struct writer *w, const struct config_list *list)
{
    text_add_byte(w->yaml, '[');
    for (size_t i = 0; i < list->count; i++) {
        text_add_cstr(w->yaml, i ? ", " : "");
        text_add_yaml_quoted(w->yaml, list->items[i]);
    }
    text_add_byte(w->yaml, ']');
}

/* Verbatim, so that no text is taken for ${ENV} when it is read again. */
static void write_secret(struct writer *w, slice secret, bool is_withheld)
{
    if (w->is_for_people) {
        text_add_yaml_quoted(w->yaml, SLICE("(hidden)"));
        return;
    }
    text_add_cstr(w->yaml, "{text: ");
    text_add_yaml_quoted(w->yaml, is_withheld ? SLICE("*") : secret);
    text_add_byte(w->yaml, '}');
}

static void write_file(struct writer *w, slice path, slice content)
{
    if (w->is_for_people && path.len) {
        text_add_yaml_quoted(w->yaml, path);
        return;
    }
    text_add_byte(w->yaml, '{');
    if (path.len) {
        text_add_cstr(w->yaml, "file: ");
        text_add_yaml_quoted(w->yaml, path);
        text_add_cstr(w->yaml, ", ");
    }
    text_add_cstr(w->yaml, "content: ");
    text_add_yaml_quoted(w->yaml, w->is_for_people ? SLICE("(hidden)") : content);
    text_add_byte(w->yaml, '}');
}

static void write_value(struct writer *w, const struct option *o, void *item, bool is_withheld)
{
    const void *field = option_field(o, item);
    struct text plain = { 0 };
    if (option_is_list(o)) {
        write_list(w, field);
    } else if (o->type == OPTION_SECRET) {
        write_secret(w, *(const slice *)field, is_withheld);
    } else if (option_has_content(o)) {
        write_file(w, *(const slice *)field, *option_content(o, item));
    } else if (o->type == OPTION_TEXT || o->type == OPTION_NAME || o->type == OPTION_FILE) {
        text_add_yaml_quoted(w->yaml, *(const slice *)field);
    } else {
        text_add_value(&plain, o, field);
        text_add(w->yaml, text_slice(&plain));
    }
    text_free(&plain);
}

/* An empty value is the preset, or stays away: a secret or file that is not there has no form. */
static bool is_written(const struct option *o, void *item)
{
    if (option_is_list(o))
        return ((const struct config_list *)option_field(o, item))->count > 0;
    if (o->type == OPTION_SECRET)
        return ((const slice *)option_field(o, item))->len > 0;
    if (option_has_content(o))
        return ((const slice *)option_field(o, item))->len > 0 || option_content(o, item)->len > 0;
    return o->type != OPTION_NAME || ((const slice *)option_field(o, item))->len > 0;
}

static bool is_preset(const struct option *o, void *item)
{
    struct text value = { 0 };
    if (option_is_list(o) || !o->preset)
        return false;
    text_add_value(&value, o, option_field(o, item));
    bool same = slice_eq(text_slice(&value), slice_from_cstr(o->preset));
    text_free(&value);
    return same;
}

/* Secrets that are not the reader's business (config.h, enum config_share). */
static bool is_withheld_section(const struct writer *w, enum section_id id)
{
    switch (id) {
    case SECTION_TLS:
    case SECTION_ROUTES:
        return w->share == CONFIG_FOR_KEYRING || w->share == CONFIG_FOR_MAILBOX;
    case SECTION_ACCOUNTS:
        return w->share == CONFIG_FOR_MTA || w->share == CONFIG_FOR_MAILBOX;
    default:
        return false;
    }
}

static void write_item(struct writer *w, enum section_id id, void *item, const char *first, const char *indent)
{
    const struct section *section = &config_sections[id];
    bool is_withheld = is_withheld_section(w, id), is_first = true;
    for (size_t i = 0; i < section->option_count; i++) {
        const struct option *o = &section->options[i];
        if (!is_written(o, item) || (w->is_for_people && is_preset(o, item)))
            continue;
        if (is_withheld && id == SECTION_TLS)
            continue;
        if (is_withheld && id == SECTION_ACCOUNTS && o->type == OPTION_SECRET)
            continue; /* one hash for both, below */
        text_add_cstr(w->yaml, is_first ? first : indent);
        is_first = false;
        text_add(w->yaml, o->name);
        text_add_cstr(w->yaml, ": ");
        write_value(w, o, item, is_withheld);
        text_add_byte(w->yaml, '\n');
    }
    if (is_withheld && id == SECTION_ACCOUNTS)
        text_add_format(w->yaml, "%spassword_hash: {text: \"*\"}\n", is_first ? first : indent);
    else if (is_first && section->is_list)
        text_add_format(w->yaml, "%s{}\n", first);
}

static void write_section(struct writer *w, enum section_id id, struct config *config)
{
    const struct section *section = &config_sections[id];
    size_t count = section_count(section, config), start = w->yaml->len;
    if (section->is_list && count == 0)
        return;
    if (section->name.len)
        text_add_format(w->yaml, SLICE_FMT ":\n", SLICE_ARG(section->name));
    size_t named = w->yaml->len;
    const char *indent = section->name.len == 0 ? "" : section->is_list ? "    " : "  ";
    for (size_t i = 0; i < count; i++)
        write_item(w, id, section_item(section, config, i), section->is_list ? "  - " : indent, indent);
    if (w->yaml->len == named)
        w->yaml->len = start; /* nothing to say about it */
}

static void write_all(struct writer *w, const struct config *config)
{
    for (size_t id = 0; id < SECTIONS; id++)
        write_section(w, (enum section_id)id, (struct config *)(uintptr_t)config);
}

void config_write(struct text *yaml, const struct config *config, enum config_share share)
{
    write_all(&(struct writer){ .yaml = yaml, .share = share }, config);
}

void config_write_shown(struct text *yaml, const struct config *config)
{
    write_all(&(struct writer){ .yaml = yaml, .is_for_people = true }, config);
}
