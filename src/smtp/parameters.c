#include "smtp/parameters.h"

static bool is_keyword_octet(char c) { return ascii_is_alnum(c) || c == '-'; }
/* esmtp-value = 1*(%d33-60 / %d62-126), and UTF-8 */
static bool is_value_octet(char c) { return ((unsigned char)c > 0x20 && c != '=' && c != 0x7f); }

enum parameter_result parameter_next(slice *rest, struct parameter *parameter)
{
    size_t at = 0, start;
    while (at < rest->len && rest->ptr[at] == ' ')
        at++;
    if (at == rest->len)
        return PARAMETER_END;
    start = at;
    while (at < rest->len && is_keyword_octet(rest->ptr[at]))
        at++;
    if (start == 0 || at == start || rest->ptr[start] == '-')
        return PARAMETER_BAD;
    *parameter = (struct parameter){ .keyword = { rest->ptr + start, at - start } };
    if (at < rest->len && rest->ptr[at] == '=') {
        start = ++at;
        while (at < rest->len && is_value_octet(rest->ptr[at]))
            at++;
        parameter->value = slice_from(rest->ptr + start, at - start);
        parameter->has_value = true;
        if (at == start)
            return PARAMETER_BAD;
    }
    *rest = slice_tail(*rest, at);
    return rest->len && rest->ptr[0] != ' ' ? PARAMETER_BAD : PARAMETER_OK;
}

bool parameter_size(slice value, uint64_t *octets)
{
    if (value.len == 0 || value.len > SIZE_DIGITS_MAX)
        return false;
    uint64_t number = 0;
    bool overflows = false;
    for (size_t i = 0; i < value.len; i++) {
        if (!ascii_is_digit(value.ptr[i]))
            return false;
        overflows |= MUL_OVERFLOWS(number, 10u, &number);
        overflows |= ADD_OVERFLOWS(number, (uint64_t)(value.ptr[i] - '0'), &number);
    }
    *octets = overflows ? UINT64_MAX : number;
    return true;
}

/* What a keyword stands for, in one shape for BODY, RET and NOTIFY. */
struct word {
    slice word;
    unsigned means;
};
static bool find_word(const struct word *words, size_t count, slice value, unsigned *means)
{
    for (size_t i = 0; i < count; i++) {
        if (!slice_eq_nocase(value, words[i].word))
            continue;
        *means = words[i].means;
        return true;
    }
    return false;
}

bool parameter_body(slice value, enum body_type *body)
{
    static const struct word words[] = { { LIT("7BIT"), BODY_7BIT },
                                         { LIT("8BITMIME"), BODY_8BITMIME },
                                         { LIT("BINARYMIME"), BODY_BINARYMIME } };
    unsigned means;
    if (!find_word(words, COUNT(words), value, &means))
        return false;
    *body = (enum body_type)means;
    return true;
}

bool parameter_ret(slice value, enum dsn_return *dsn_return)
{
    static const struct word words[] = { { LIT("FULL"), DSN_RETURN_FULL }, { LIT("HDRS"), DSN_RETURN_HEADERS } };
    unsigned means;
    if (!find_word(words, COUNT(words), value, &means))
        return false;
    *dsn_return = (enum dsn_return)means;
    return true;
}

static const struct word notify_words[] = { { LIT("NEVER"), NOTIFY_NEVER },
                                            { LIT("SUCCESS"), NOTIFY_SUCCESS },
                                            { LIT("FAILURE"), NOTIFY_FAILURE },
                                            { LIT("DELAY"), NOTIFY_DELAY } };

bool parameter_notify(slice value, unsigned *notify)
{
    unsigned all = 0;
    bool more = true;
    while (more) {
        slice word;
        unsigned means;
        value = slice_cut(value, ',', &word, &more);
        if (!find_word(notify_words, COUNT(notify_words), word, &means))
            return false;
        all |= means;
    }
    if (all & NOTIFY_NEVER && all != NOTIFY_NEVER)
        return false;
    *notify = all;
    return true;
}

/* xtext = *( xchar / hexchar );  xchar = %d33-42 / %d44-60 / %d62-126;  hexchar = "+" two upper case hex digits */
static bool is_xchar(char c) { return c > 0x20 && c < 0x7f && c != '+' && c != '='; }
static int upper_hex(char c) { return ascii_is_digit(c) ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; }

void xtext_encode(struct text *to, slice octets)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < octets.len; i++) {
        unsigned char c = (unsigned char)octets.ptr[i];
        if (is_xchar(octets.ptr[i]))
            text_add_byte(to, octets.ptr[i]);
        else
            text_add(to, slice_from((char[]){ '+', digits[c >> 4], digits[c & 15] }, 3));
    }
}

bool xtext_decode(struct text *to, slice xtext)
{
    char *decoded = text_reserve(to, xtext.len);
    size_t length = 0;
    for (size_t i = 0; i < xtext.len; i++) {
        if (is_xchar(xtext.ptr[i])) {
            decoded[length++] = xtext.ptr[i];
            continue;
        }
        if (xtext.ptr[i] != '+' || xtext.len - i < 3)
            return false;
        int high = upper_hex(xtext.ptr[i + 1]), low = upper_hex(xtext.ptr[i + 2]);
        if (high < 0 || low < 0)
            return false;
        decoded[length++] = (char)(high << 4 | low);
        i += 2;
    }
    to->len += length;
    return true;
}

static bool is_printable(slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < 0x20 || s.ptr[i] == 0x7f) /* 0x80 and up are negative: refused too */
            return false;
    return true;
}

/* xtext of which only printable ASCII may come: it goes into the fields of a DSN. False leaves `to` as it was. */
static bool decode_printable(struct text *to, slice xtext)
{
    size_t before = to->len;
    if (!xtext_decode(to, xtext))
        return false;
    if (is_printable(slice_tail(text_slice(to), before)))
        return true;
    to->len = before;
    return false;
}

bool parameter_envid(slice value, struct text *decoded)
{
    return value.len && value.len <= ENVID_MAX && decode_printable(decoded, value);
}

/* original-recipient-address = addr-type ";" xtext */
bool parameter_orcpt(slice value, struct text *decoded)
{
    slice type, address = slice_cut(value, ';', &type, NULL);
    if (value.len > ORCPT_MAX || type.len == 0 || address.len == 0)
        return false;
    for (size_t i = 0; i < type.len; i++)
        if (!is_keyword_octet(type.ptr[i]))
            return false;
    size_t before = decoded->len;
    text_add(decoded, type);
    text_add_byte(decoded, ';');
    if (decode_printable(decoded, address))
        return true;
    decoded->len = before;
    return false;
}

bool parameter_auth(slice value, struct text *decoded)
{
    size_t before = decoded->len;
    if (!value.len || !decode_printable(decoded, value))
        return false;
    slice mailbox = slice_tail(text_slice(decoded), before);
    if (slice_eq(mailbox, SLICE("<>")) || mailbox_parse(mailbox, false).error == PATH_OK)
        return true;
    decoded->len = before;
    return false;
}

static void add_notify(struct text *to, unsigned notify)
{
    slice separator = SLICE(" NOTIFY=");
    for (size_t i = 0; i < COUNT(notify_words); i++) {
        if (!(notify & notify_words[i].means))
            continue;
        text_add(to, separator);
        text_add(to, notify_words[i].word);
        separator = SLICE(",");
    }
}

void text_add_mail_parameters(struct text *to, const struct envelope *e, uint64_t size_octets, bool has_8bit,
                              unsigned extensions)
{
    if (extensions & EXTENSION_SIZE) {
        text_add(to, SLICE(" SIZE="));
        text_add_u64(to, size_octets);
    }
    if (has_8bit && extensions & EXTENSION_8BITMIME)
        text_add(to, SLICE(" BODY=8BITMIME"));
    if (e->smtputf8 && extensions & EXTENSION_SMTPUTF8)
        text_add(to, SLICE(" SMTPUTF8"));
    if (!(extensions & EXTENSION_DSN))
        return;
    if (e->dsn_return != DSN_RETURN_UNSET)
        text_add(to, e->dsn_return == DSN_RETURN_FULL ? SLICE(" RET=FULL") : SLICE(" RET=HDRS"));
    if (e->envelope_id.len) {
        text_add(to, SLICE(" ENVID="));
        xtext_encode(to, e->envelope_id);
    }
}

void text_add_rcpt_parameters(struct text *to, const struct recipient *r, unsigned extensions)
{
    if (!(extensions & EXTENSION_DSN))
        return;
    add_notify(to, r->notify);
    if (r->original_recipient.len) {
        slice type, address = slice_cut(r->original_recipient, ';', &type, NULL);
        text_add(to, SLICE(" ORCPT="));
        text_add(to, type);
        text_add_byte(to, ';');
        xtext_encode(to, address);
    } else if (!path_eq(r->original, r->forward_path) && slice_is_ascii(r->original.local_part) &&
               slice_is_ascii(r->original.domain)) {
        /* An alias stands between: the sender knows only the address that he wrote. */
        struct text mailbox = { 0 };
        text_add_mailbox(&mailbox, r->original);
        text_add(to, SLICE(" ORCPT=rfc822;"));
        xtext_encode(to, text_slice(&mailbox));
        text_free(&mailbox);
    }
}
