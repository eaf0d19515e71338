#include "base/json.h"

static char short_escape(char c)
{
    switch (c) {
    case '"':
        return '"';
    case '\\':
        return '\\';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return 0;
    }
}

static bool is_plain(char c) { return (unsigned char)c >= 0x20 && (unsigned char)c < 0x7f && c != '"' && c != '\\'; }

/* Writes what stands at the start of s, not plain, and returns how many octets of it that was. */
static size_t add_special(struct text *to, slice s)
{
    char c = s.ptr[0], escape = short_escape(c);
    if (escape) {
        text_add_byte(to, '\\');
        text_add_byte(to, escape);
        return 1;
    }
    if ((unsigned char)c < 0x20 || c == 0x7f) {
        text_add(to, SLICE("\\u"));
        text_add_hex(to, (unsigned char)c, 4);
        return 1;
    }
    size_t octets = slice_utf8_character(s);
    text_add(to, octets ? slice_head(s, octets) : SLICE("\xEF\xBF\xBD"));
    return octets ? octets : 1;
}

void json_add_string(struct text *to, slice s)
{
    text_reserve(to, s.len + 2);
    text_add_byte(to, '"');
    while (s.len) {
        size_t plain = 0;
        while (plain < s.len && is_plain(s.ptr[plain]))
            plain++;
        text_add(to, slice_head(s, plain));
        s = slice_tail(s, plain);
        if (s.len)
            s = slice_tail(s, add_special(to, s));
    }
    text_add_byte(to, '"');
}

void json_add_name(struct text *to, slice name)
{
    if (to->len && to->ptr[to->len - 1] != '{' && to->ptr[to->len - 1] != '[')
        text_add_byte(to, ',');
    json_add_string(to, name);
    text_add_byte(to, ':');
}

void json_add_field_string(struct text *to, slice name, slice value)
{
    json_add_name(to, name);
    json_add_string(to, value);
}

void json_add_field_u64(struct text *to, slice name, uint64_t value)
{
    json_add_name(to, name);
    text_add_u64(to, value);
}

void json_add_field_bool(struct text *to, slice name, bool value)
{
    json_add_name(to, name);
    text_add(to, value ? SLICE("true") : SLICE("false"));
}
