#include "base/base64.h"
#include "message/header.h"
/*
 * decode - encoded words, RFC 2047 §2, read leniently: what cannot be decoded stays as it is written.
 *
 *   encoded-word = "=?" charset "?" encoding "?" encoded-text "?="
 */
enum { ENCODED_WORD_MAX = 1024 }; /* §2 says 75; a bound keeps the search for its end from going over all of a field */
struct encoded_word {
    slice charset, encoding, encoded;
};

static bool take_until(slice *rest, slice separator, slice *taken)
{
    size_t end = slice_find(*rest, separator);
    if (end == SLICE_NOT_FOUND)
        return false;
    *taken = slice_head(*rest, end);
    *rest = slice_tail(*rest, end + separator.len);
    return slice_find_byte(*taken, ' ') == SLICE_NOT_FOUND;
}

/* At the start of *rest, whose first octets are "=?". */
static bool take_encoded_word(slice *rest, struct encoded_word *word)
{
    slice s = slice_tail(slice_head(*rest, ENCODED_WORD_MAX), 2);
    const char *start = rest->ptr;
    if (!take_until(&s, SLICE("?"), &word->charset) || !take_until(&s, SLICE("?"), &word->encoding) ||
        !take_until(&s, SLICE("?="), &word->encoded))
        return false;
    slice_cut(word->charset, '*', &word->charset, NULL); /* RFC 2231 §5: the language behind it */
    *rest = slice_tail(*rest, (size_t)(s.ptr - start));
    return true;
}

static int hex(char c)
{
    c = ascii_lower(c);
    return ascii_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The "Q" encoding, §4.2 */
static bool decode_q(struct text *to, slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] != '=') {
            text_add_byte(to, s.ptr[i] == '_' ? ' ' : s.ptr[i]);
            continue;
        }
        int high = i + 2 < s.len ? hex(s.ptr[i + 1]) : -1, low = i + 2 < s.len ? hex(s.ptr[i + 2]) : -1;
        if (high < 0 || low < 0)
            return false;
        text_add_byte(to, (char)(high << 4 | low));
        i += 2;
    }
    return true;
}

static void add_latin1(struct text *to, slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c >= 0x80)
            text_add_byte(to, (char)(0xc0 | c >> 6));
        text_add_byte(to, (char)(c >= 0x80 ? 0x80 | (c & 0x3f) : c));
    }
}

static bool add_word(struct text *to, const struct encoded_word *word)
{
    bool is_latin1 = slice_eq_nocase(word->charset, SLICE("iso-8859-1"));
    if (!is_latin1 && !slice_eq_nocase(word->charset, SLICE("utf-8")) &&
        !slice_eq_nocase(word->charset, SLICE("us-ascii")))
        return false;
    struct text octets = { 0 };
    bool ok = slice_eq_nocase(word->encoding, SLICE("B"))   ? base64_decode(&octets, word->encoded)
              : slice_eq_nocase(word->encoding, SLICE("Q")) ? decode_q(&octets, word->encoded)
                                                            : false;
    if (ok && is_latin1)
        add_latin1(to, text_slice(&octets));
    else if (ok)
        text_add(to, text_slice(&octets));
    text_free(&octets);
    return ok;
}

/* White space between two encoded words is not part of the text (§6.2). */
static void drop_space_between_words(slice *rest)
{
    slice behind = *rest;
    while (behind.len && (behind.ptr[0] == ' ' || behind.ptr[0] == '\t'))
        behind = slice_tail(behind, 1);
    if (slice_starts_with(behind, SLICE("=?")))
        *rest = behind;
}

void text_add_decoded(struct text *to, slice value)
{
    struct text unfolded = { 0 };
    text_add_unfolded(&unfolded, value);
    slice rest = text_slice(&unfolded);
    size_t start = to->len;
    while (rest.len) {
        size_t plain = size_min(slice_find(rest, SLICE("=?")), rest.len);
        text_add(to, slice_head(rest, plain));
        rest = slice_tail(rest, plain);
        slice behind = rest;
        struct encoded_word word;
        if (rest.len && take_encoded_word(&behind, &word) && add_word(to, &word)) {
            rest = behind;
            drop_space_between_words(&rest);
        } else if (rest.len) {
            text_add(to, slice_head(rest, 2));
            rest = slice_tail(rest, 2);
        }
    }
    for (size_t i = start; i < to->len; i++) /* an encoded word may hold anything */
        if ((unsigned char)to->ptr[i] < 0x20 || to->ptr[i] == 0x7f)
            to->ptr[i] = ' ';
    text_free(&unfolded);
}
