#include "base/json.h"
#include "config/table.h"
/*
 * schema - the option table as a JSON Schema (draft 2020-12): editors complete and check postrider.yaml by it. It
 * cannot say all that the reader knows (ranges of durations, what contradicts what), and never refuses what the reader
 * takes, except that it wants texts as texts: a password 1234 in quotes.
 */
#define DURATION_PATTERN "^(0|([0-9]+(ms|s|m|h|d|w))+)$"
#define SIZE_PATTERN     "^[0-9]+([KMGT](i?B)?|B)?$"
#define ADDRESS_PATTERN  "^([0-9.]+|\\\\[[0-9a-fA-F:.]+\\\\]):[0-9]{1,5}$"
#define NETWORK_PATTERN  "^[0-9a-fA-F:.]+(/[0-9]{1,3})?$"
#define NAME_PATTERN     "^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$"
#define LIST_OF(item)    "\"oneOf\":[" item ",{\"type\":\"array\",\"items\":" item "}]"
#define PARTS(a, b)                                                                                                    \
    "\"oneOf\":[{\"type\":\"string\"},{\"type\":\"object\",\"additionalProperties\":false,\"minProperties\":1,"        \
    "\"properties\":{\"" a "\":{\"type\":\"string\"},\"" b "\":{\"type\":\"string\"}}}]"

/* Of the types that look the same whatever the option: the rest of its object. */
static const char *const type_schemas[OPTION_TYPES] = {
    [OPTION_BOOL] = "\"type\":\"boolean\"",
    [OPTION_DURATION] = "\"oneOf\":[{\"type\":\"string\",\"pattern\":\"" DURATION_PATTERN "\"},{\"const\":0}]",
    [OPTION_TEXT] = "\"type\":\"string\"",
    [OPTION_SECRET] = PARTS("file", "text"),
    [OPTION_ADDRESSES] = LIST_OF("{\"type\":\"string\",\"pattern\":\"" ADDRESS_PATTERN "\"}"),
    [OPTION_NAMES] = LIST_OF("{\"type\":\"string\",\"pattern\":\"" NAME_PATTERN "\"}"),
    [OPTION_TEXTS] = LIST_OF("{\"type\":\"string\",\"minLength\":1}"),
    [OPTION_NETWORKS] = LIST_OF("{\"type\":\"string\",\"pattern\":\"" NETWORK_PATTERN "\"}"),
};

static void add_bound(struct text *json, const char *name, const char *bound, enum option_type type)
{
    uint64_t value;
    slice text = slice_from_cstr(bound);
    if (bound && (type == OPTION_COUNT ? parse_u64(text, &value) : parse_size(text, &value)))
        json_add_field_u64(json, slice_from_cstr(name), value);
}

static void add_integer(struct text *json, const struct option *o)
{
    text_add_cstr(json, "\"type\":\"integer\"");
    add_bound(json, "minimum", o->lowest, o->type);
    add_bound(json, "maximum", o->highest, o->type);
}

static void add_words(struct text *json, const struct option *o)
{
    text_add_cstr(json, "\"enum\":[");
    for (size_t i = 0; i < o->words->count; i++) {
        text_add_cstr(json, i ? "," : "");
        json_add_string(json, o->words->words[i]);
    }
    text_add_byte(json, ']');
}

static void add_type(struct text *json, const struct option *o)
{
    switch (o->type) {
    case OPTION_COUNT:
        add_integer(json, o);
        break;
    case OPTION_SIZE:
        text_add_cstr(json, "\"oneOf\":[{\"type\":\"string\",\"pattern\":\"" SIZE_PATTERN "\"},{");
        add_integer(json, o);
        text_add_cstr(json, "}]");
        break;
    case OPTION_NAME:
        text_add_format(json, "\"type\":\"string\",\"pattern\":\"%s\",\"maxLength\":253",
                        o->preset ? "^$|" NAME_PATTERN : NAME_PATTERN);
        break;
    case OPTION_FILE:
        text_add_cstr(json, option_has_content(o) ? PARTS("file", "content") : "\"type\":\"string\"");
        break;
    case OPTION_CHOICE:
        add_words(json, o);
        break;
    default:
        text_add_cstr(json, type_schemas[o->type]);
        break;
    }
}

static void add_preset(struct text *json, const struct option *o)
{
    if (!o->preset || (option_is_list(o) && !*o->preset))
        return;
    json_add_name(json, SLICE("default"));
    if (o->type == OPTION_BOOL || o->type == OPTION_COUNT)
        text_add_cstr(json, o->preset);
    else
        json_add_string(json, slice_from_cstr(o->preset));
}

static void add_option(struct text *json, const struct option *o)
{
    struct text about = { 0 };
    text_add_format(&about, "%s%s", o->manual, o->change == RESTART ? " (takes effect at a restart)" : "");
    json_add_name(json, o->name);
    text_add_byte(json, '{');
    json_add_field_string(json, SLICE("description"), text_slice(&about));
    add_preset(json, o);
    text_add_byte(json, ',');
    add_type(json, o);
    text_add_byte(json, '}');
    text_free(&about);
}

static void add_required(struct text *json, const struct section *section)
{
    size_t count = 0;
    for (size_t i = 0; i < section->option_count; i++) {
        if (section->options[i].preset)
            continue;
        if (count++ == 0)
            text_add_cstr(json, ",\"required\":[");
        else
            text_add_byte(json, ',');
        json_add_string(json, section->options[i].name);
    }
    text_add_cstr(json, count ? "]" : "");
}

/* The options of one mapping, without its braces. */
static void add_properties(struct text *json, const struct section *section)
{
    text_add_cstr(json, "\"additionalProperties\":false");
    add_required(json, section);
    json_add_name(json, SLICE("properties"));
    text_add_byte(json, '{');
    for (size_t i = 0; i < section->option_count; i++)
        add_option(json, &section->options[i]);
}

static void add_section(struct text *json, const struct section *section)
{
    json_add_name(json, section->name);
    text_add_byte(json, '{');
    json_add_field_string(json, SLICE("description"), slice_from_cstr(section->manual));
    text_add_cstr(json, section->is_list ? ",\"type\":[\"array\",\"null\"],\"items\":{\"type\":\"object\","
                                         : ",\"type\":[\"object\",\"null\"],");
    add_properties(json, section);
    text_add_cstr(json, section->is_list ? "}}}" : "}}");
}

/* Two spaces a level, short objects and lists too: a change of one option is a change of one line. */
static void add_indented(struct text *to, slice json)
{
    unsigned depth = 0;
    bool is_string = false;
    for (size_t i = 0; i < json.len; i++) {
        char c = json.ptr[i];
        bool opens = !is_string && (c == '{' || c == '['), closes = !is_string && (c == '}' || c == ']');
        if (c == '"')
            is_string = !is_string;
        depth -= closes;
        if (closes)
            text_add_format(to, "\n%*s", (int)(2 * depth), "");
        text_add_byte(to, c);
        if (is_string && c == '\\' && i + 1 < json.len)
            text_add_byte(to, json.ptr[++i]);
        depth += opens;
        if (opens || (!is_string && c == ','))
            text_add_format(to, "\n%*s", (int)(2 * depth), "");
        else if (!is_string && c == ':')
            text_add_byte(to, ' ');
    }
    text_add_byte(to, '\n');
}

void config_write_schema(struct text *to)
{
    struct text json = { 0 };
    text_add_cstr(&json, "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\"");
    json_add_field_string(&json, SLICE("title"), SLICE("postrider.yaml"));
    json_add_field_string(&json, SLICE("description"),
                          SLICE("Configuration of the Postrider mail server. Made by `postrider config schema`."));
    text_add_cstr(&json, ",\"type\":[\"object\",\"null\"],");
    add_properties(&json, &config_sections[SECTION_SERVER]);
    text_add_cstr(&json, ",\"include\":{\"description\":\"other files, read as if their sections stood here\"," LIST_OF(
                             "{\"type\":\"string\",\"minLength\":1}") "}");
    for (size_t s = 1; s < SECTIONS; s++)
        add_section(&json, &config_sections[s]);
    text_add_cstr(&json, "}}");
    add_indented(to, text_slice(&json));
    text_free(&json);
}
