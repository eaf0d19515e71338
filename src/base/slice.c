#include "base/slice.h"

static bool octets_eq_nocase(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (ascii_lower(a[i]) != ascii_lower(b[i]))
            return false;
    return true;
}

bool slice_eq_nocase(slice a, slice b) { return a.len == b.len && octets_eq_nocase(a.ptr, b.ptr, a.len); }

int slice_compare(slice a, slice b)
{
    size_t common = size_min(a.len, b.len);
    int order = common ? memcmp(a.ptr, b.ptr, common) : 0;
    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

bool slice_starts_with(slice s, slice prefix)
{
    return s.len >= prefix.len && slice_eq(slice_head(s, prefix.len), prefix);
}

bool slice_starts_with_nocase(slice s, slice prefix)
{
    return s.len >= prefix.len && octets_eq_nocase(s.ptr, prefix.ptr, prefix.len);
}

bool slice_ends_with(slice s, slice suffix)
{
    return s.len >= suffix.len && slice_eq(slice_tail(s, s.len - suffix.len), suffix);
}

bool slice_ends_with_nocase(slice s, slice suffix)
{
    return s.len >= suffix.len && slice_eq_nocase(slice_tail(s, s.len - suffix.len), suffix);
}

size_t slice_find_byte(slice s, char byte)
{
    const char *found = s.len ? memchr(s.ptr, byte, s.len) : NULL;
    return found ? (size_t)(found - s.ptr) : SLICE_NOT_FOUND;
}

size_t slice_find_byte_last(slice s, char byte)
{
    const char *found = s.len ? memrchr(s.ptr, byte, s.len) : NULL;
    return found ? (size_t)(found - s.ptr) : SLICE_NOT_FOUND;
}

size_t slice_find(slice s, slice needle)
{
    if (needle.len == 0)
        return 0;
    const char *found = s.len ? memmem(s.ptr, s.len, needle.ptr, needle.len) : NULL;
    return found ? (size_t)(found - s.ptr) : SLICE_NOT_FOUND;
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

static bool is_blank_or_line_end(char c) { return is_blank(c) || c == '\r' || c == '\n'; }

static slice trim(slice s, bool (*goes)(char))
{
    while (s.len && goes(s.ptr[s.len - 1]))
        s.len--;
    while (s.len && goes(s.ptr[0]))
        s = slice_tail(s, 1);
    return s;
}

slice slice_trim(slice s) { return trim(s, is_blank); }

slice slice_trim_lines(slice s) { return trim(s, is_blank_or_line_end); }

slice slice_cut(slice s, char separator, slice *before, bool *found)
{
    size_t place = slice_find_byte(s, separator);
    *before = slice_head(s, place);
    if (found)
        *found = place != SLICE_NOT_FOUND;
    return place == SLICE_NOT_FOUND ? slice_tail(s, s.len) : slice_tail(s, place + 1);
}

bool slice_next_line(slice *rest, slice *line)
{
    if (rest->len == 0)
        return false;
    *rest = slice_cut(*rest, '\n', line, NULL);
    if (line->len && line->ptr[line->len - 1] == '\r')
        line->len--;
    return true;
}

bool slice_is_ascii(slice s)
{
    size_t i = 0;
    for (; i + sizeof(uint64_t) <= s.len; i += sizeof(uint64_t)) {
        uint64_t eight;
        memcpy(&eight, s.ptr + i, sizeof(eight));
        if (eight & UINT64_C(0x8080808080808080))
            return false;
    }
    for (; i < s.len; i++)
        if ((unsigned char)s.ptr[i] & 0x80)
            return false;
    return true;
}

/*
 * RFC 3629 §4:
 *   UTF8-2 = %xC2-DF UTF8-tail
 *   UTF8-3 = %xE0 %xA0-BF UTF8-tail / %xE1-EC 2( UTF8-tail ) / %xED %x80-9F UTF8-tail / %xEE-EF 2( UTF8-tail )
 *   UTF8-4 = %xF0 %x90-BF 2( UTF8-tail ) / %xF1-F3 3( UTF8-tail ) / %xF4 %x80-8F 2( UTF8-tail )
 */
static const struct utf8_lead {
    unsigned char first, last, second_lowest, second_highest, tails;
} utf8_leads[] = {
    { 0xC2, 0xDF, 0x80, 0xBF, 1 }, { 0xE0, 0xE0, 0xA0, 0xBF, 2 }, { 0xE1, 0xEC, 0x80, 0xBF, 2 },
    { 0xED, 0xED, 0x80, 0x9F, 2 }, { 0xEE, 0xEF, 0x80, 0xBF, 2 }, { 0xF0, 0xF0, 0x90, 0xBF, 3 },
    { 0xF1, 0xF3, 0x80, 0xBF, 3 }, { 0xF4, 0xF4, 0x80, 0x8F, 3 },
};

static const struct utf8_lead *utf8_find_lead(unsigned char octet)
{
    for (size_t i = 0; i < COUNT(utf8_leads); i++)
        if (octet >= utf8_leads[i].first && octet <= utf8_leads[i].last)
            return &utf8_leads[i];
    return NULL;
}

size_t slice_utf8_character(slice s)
{
    if (s.len == 0)
        return 0;
    const unsigned char *octets = (const unsigned char *)s.ptr;
    if (octets[0] < 0x80)
        return 1;
    const struct utf8_lead *lead = utf8_find_lead(octets[0]);
    if (!lead || s.len < (size_t)lead->tails + 1)
        return 0;
    if (octets[1] < lead->second_lowest || octets[1] > lead->second_highest)
        return 0;
    for (size_t i = 2; i <= lead->tails; i++)
        if ((octets[i] & 0xC0) != 0x80)
            return 0;
    return (size_t)lead->tails + 1;
}

bool slice_is_utf8(slice s)
{
    while (s.len) {
        size_t octets = slice_utf8_character(s);
        if (octets == 0)
            return false;
        s = slice_tail(s, octets);
    }
    return true;
}
