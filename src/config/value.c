#include "config/value.h"
#include "config/mistake.h"

slice arena_copy_lower(struct arena *memory, slice text)
{
    slice copy = arena_copy(memory, text);
    char *to = (char *)(uintptr_t)copy.ptr;
    for (size_t i = 0; i < copy.len; i++)
        to[i] = ascii_lower(to[i]);
    return copy;
}

static const char *label_problem(slice label)
{
    enum { LABEL_MAX = 63 };
    if (label.len == 0)
        return "has an empty label (two dots, or a dot at an end)";
    if (label.len > LABEL_MAX)
        return "has a label longer than 63 octets";
    if (label.ptr[0] == '-' || label.ptr[label.len - 1] == '-')
        return "has a label that begins or ends with a hyphen";
    for (size_t i = 0; i < label.len; i++) {
        if ((unsigned char)label.ptr[i] >= 0x80)
            return "has characters outside ASCII; write the name in its xn-- form";
        if (!ascii_is_alnum(label.ptr[i]) && label.ptr[i] != '-')
            return "has a character that is not a letter, a digit, a hyphen or a dot";
    }
    return NULL;
}

bool host_name_is_valid(slice name, struct text *why)
{
    enum { NAME_MAX_OCTETS = 253 };
    const char *problem = name.len == 0 ? "is empty" : name.len > NAME_MAX_OCTETS ? "is longer than 253 octets" : NULL;
    slice rest = name, label = { 0 };
    bool more = !problem;
    while (more && !problem) {
        rest = slice_cut(rest, '.', &label, &more);
        problem = label_problem(label);
    }
    if (!problem) {
        size_t digits = 0;
        while (digits < label.len && ascii_is_digit(label.ptr[digits]))
            digits++;
        if (digits == label.len)
            problem = "ends in a number, as an address does";
    }
    if (problem && why)
        text_add_cstr(why, problem);
    return !problem;
}

void text_add_range(struct text *text, const struct option *o)
{
    if (o->lowest)
        text_add_format(text, "at least %s", o->lowest);
    if (o->highest)
        text_add_format(text, "%sat most %s", o->lowest ? ", " : "", o->highest);
}

static bool parse_number(enum option_type type, slice text, uint64_t *value)
{
    if (type == OPTION_COUNT)
        return parse_u64(text, value);
    return type == OPTION_SIZE ? parse_size(text, value) : parse_duration(text, value);
}

static bool parse_bounded(const struct option *o, slice text, uint64_t *value, struct text *why)
{
    uint64_t lowest = 0, highest = UINT64_MAX, parsed;
    bool bounds_are_fine = (!o->lowest || parse_number(o->type, slice_from_cstr(o->lowest), &lowest)) &&
                           (!o->highest || parse_number(o->type, slice_from_cstr(o->highest), &highest));
    assert(bounds_are_fine && "a bound in options.def is not of its option's type");
    (void)bounds_are_fine;
    if (!parse_number(o->type, text, &parsed)) {
        uint64_t bare;
        text_add_format(why, "expected %s, found ", option_type_expected(o->type));
        text_add_quoted(why, text);
        if (o->type == OPTION_DURATION && parse_u64(text, &bare))
            text_add_cstr(why, "; a unit is missing (ms, s, m, h, d, w)");
        return false;
    }
    if (parsed < lowest || parsed > highest) {
        text_add_cstr(why, "must be ");
        text_add_range(why, o);
        text_add_cstr(why, "; found ");
        text_add(why, text);
        return false;
    }
    *value = parsed;
    return true;
}

static bool parse_bool(slice text, bool *value, struct text *why)
{
    static const struct {
        slice word;
        bool value, is_proper;
    } words[] = {
        { LIT("true"), true, true }, { LIT("false"), false, true }, { LIT("yes"), true, false },
        { LIT("no"), false, false }, { LIT("on"), true, false },    { LIT("off"), false, false },
        { LIT("1"), true, false },   { LIT("0"), false, false },
    };
    for (size_t i = 0; i < COUNT(words); i++) {
        if (!slice_eq_nocase(text, words[i].word))
            continue;
        if (words[i].is_proper) {
            *value = words[i].value;
            return true;
        }
        text_add_format(why, "expected true or false; write %s", words[i].value ? "true" : "false");
        return false;
    }
    text_add_cstr(why, "expected true or false, found ");
    text_add_quoted(why, text);
    return false;
}

static bool parse_choice(const struct option *o, slice text, void *field, struct text *why)
{
    struct nearest nearest = nearest_start(text);
    for (size_t i = 0; i < o->words->count; i++) {
        if (slice_eq(text, o->words->words[i])) {
            unsigned word = (unsigned)i; /* as every enum without negative values is kept */
            memcpy(field, &word, sizeof(word));
            return true;
        }
        nearest_offer(&nearest, o->words->words[i]);
    }
    text_add_cstr(why, "expected ");
    for (size_t i = 0; i < o->words->count; i++) {
        text_add_cstr(why, i == 0 ? "" : i + 1 == o->words->count ? " or " : ", ");
        text_add(why, o->words->words[i]);
    }
    text_add_cstr(why, ", found ");
    text_add_quoted(why, text);
    text_add_nearest(why, &nearest);
    return false;
}

static bool check_plain_text(const struct option *o, slice text, struct text *why)
{
    bool may_be_empty = o->preset != NULL && !option_is_list(o);
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] >= 0x20 && text.ptr[i] != 0x7f)
            continue;
        text_add_cstr(why, "line breaks and control characters are not allowed here");
        return false;
    }
    if (text.len == 0 && !may_be_empty) {
        text_add_format(why, "must not be empty; expected %s", option_type_expected(o->type));
        return false;
    }
    return true;
}

static bool parse_name(slice text, struct arena *memory, slice *name, struct text *why)
{
    struct text problem = { 0 };
    bool ok = host_name_is_valid(text, &problem);
    if (ok) {
        *name = arena_copy_lower(memory, text);
    } else {
        text_add_cstr(why, "expected a domain name such as mail.example.org; ");
        text_add_quoted(why, text);
        text_add_byte(why, ' ');
        text_add(why, text_slice(&problem));
    }
    text_free(&problem);
    return ok;
}

bool value_parse(const struct option *o, slice text, struct arena *memory, void *field, struct text *why)
{
    switch (o->type) {
    case OPTION_BOOL:
        return parse_bool(text, field, why);
    case OPTION_COUNT:
    case OPTION_DURATION:
    case OPTION_SIZE:
        return parse_bounded(o, text, field, why);
    case OPTION_CHOICE:
        return parse_choice(o, text, field, why);
    default:
        break;
    }
    if (!check_plain_text(o, text, why))
        return false;
    if (o->type == OPTION_NAME && text.len)
        return parse_name(text, memory, field, why);
    *(slice *)field = arena_copy(memory, text);
    return true;
}

/* What people write for an address, and what they meant. */
static const char *address_hint(slice text)
{
    uint64_t port;
    struct address bare;
    if (parse_u64(text, &port) || (text.len && text.ptr[0] == ':'))
        return "; for every address of the machine write 0.0.0.0:PORT and \"[::]:PORT\"";
    if (slice_starts_with(text, SLICE("*:")))
        return "; for every address of the machine write 0.0.0.0:PORT and \"[::]:PORT\"";
    if (slice_starts_with_nocase(text, SLICE("localhost:")))
        return "; write 127.0.0.1:PORT or \"[::1]:PORT\"";
    if (address_parse(text, &bare))
        return "; the port is missing (an IPv6 address stands in brackets before it)";
    return "";
}

static bool parse_address(slice text, struct arena *memory, slice *item, struct text *why)
{
    struct address address;
    if (!address_parse_with_port(text, &address) || address_port(&address) == 0) {
        text_add_cstr(why, "expected ADDR:PORT such as 192.0.2.1:25 or \"[2001:db8::1]:25\", found ");
        text_add_quoted(why, text);
        text_add_cstr(why, address_hint(text));
        return false;
    }
    struct text written = { 0 };
    text_add_address_with_port(&written, &address);
    *item = arena_copy(memory, text_slice(&written));
    text_free(&written);
    return true;
}

static bool parse_network(slice text, struct arena *memory, slice *item, struct text *why)
{
    struct network network;
    if (!network_parse(text, &network)) {
        slice address_part;
        struct address address;
        slice_cut(text, '/', &address_part, NULL);
        text_add_cstr(why, "expected a network such as 192.0.2.0/24 or 2001:db8::/32, found ");
        text_add_quoted(why, text);
        if (address_parse(address_part, &address))
            text_add_cstr(why, "; the bits behind the prefix must be zero and the prefix not longer than the address");
        return false;
    }
    *item = arena_copy(memory, text);
    return true;
}

bool value_parse_item(const struct option *o, slice text, struct arena *memory, slice *item, struct text *why)
{
    if (!check_plain_text(o, text, why))
        return false;
    switch (o->type) {
    case OPTION_ADDRESSES:
        return parse_address(text, memory, item, why);
    case OPTION_NETWORKS:
        return parse_network(text, memory, item, why);
    case OPTION_NAMES:
        return parse_name(text, memory, item, why);
    default:
        *item = arena_copy(memory, text);
        return true;
    }
}

void value_set_preset(const struct option *o, struct arena *memory, void *field)
{
    if (option_is_list(o) || !o->preset)
        return; /* zeroed: no items, nothing */
    struct text why = { 0 };
    bool ok = value_parse(o, slice_from_cstr(o->preset), memory, field, &why);
    assert(ok && "a preset in options.def is not of its option's type and range");
    (void)ok;
    text_free(&why);
}

void text_add_value(struct text *text, const struct option *o, const void *field)
{
    unsigned word;
    switch (o->type) {
    case OPTION_BOOL:
        text_add_cstr(text, *(const bool *)field ? "true" : "false");
        break;
    case OPTION_COUNT:
        text_add_u64(text, *(const uint64_t *)field);
        break;
    case OPTION_DURATION:
        text_add_duration(text, *(const uint64_t *)field);
        break;
    case OPTION_SIZE:
        text_add_size(text, *(const uint64_t *)field);
        break;
    case OPTION_CHOICE:
        memcpy(&word, field, sizeof(word));
        text_add(text, o->words->words[word]);
        break;
    default:
        text_add(text, *(const slice *)field);
        break;
    }
}
