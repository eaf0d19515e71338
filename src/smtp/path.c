#include "smtp/path.h"
#include "base/address.h"

static bool is_utf8_octet(char c) { return (unsigned char)c >= 0x80; }

/* atext of RFC 5322 §3.2.3, and UTF-8 where RFC 6531 §3.3 adds it */
static bool is_atext(char c)
{
    return ascii_is_alnum(c) || is_utf8_octet(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* Dot-string = Atom *("." Atom); the length of what stands at the start of s, 0 where there is none */
static size_t dot_string_length(slice s)
{
    size_t at = 0;
    while (at < s.len && (is_atext(s.ptr[at]) || (s.ptr[at] == '.' && at > 0 && s.ptr[at - 1] != '.')))
        at++;
    return at && s.ptr[at - 1] == '.' ? 0 : at;
}

/* Quoted-string = DQUOTE *QcontentSMTP DQUOTE;  qtextSMTP = %d32-33 / %d35-91 / %d93-126;  "\" %d32-126 */
static size_t quoted_string_length(slice s)
{
    for (size_t at = 1; at < s.len; at++) {
        if (s.ptr[at] == '"')
            return at + 1;
        if (s.ptr[at] == '\\')
            at++;
        if (at >= s.len || (unsigned char)s.ptr[at] < 0x20 || s.ptr[at] == 0x7f)
            return 0;
    }
    return 0;
}

static size_t local_part_length(slice s)
{
    return s.len && s.ptr[0] == '"' ? quoted_string_length(s) : dot_string_length(s);
}

bool address_literal_is_valid(slice literal)
{
    if (literal.len < 2 || literal.ptr[0] != '[' || literal.ptr[literal.len - 1] != ']')
        return false;
    slice inside = { literal.ptr + 1, literal.len - 2 };
    struct address address;
    /* No other tag than IPv6 is registered (General-address-literal, RFC 5321 §4.1.3). */
    bool is_v6 = slice_starts_with_nocase(inside, SLICE("IPv6:"));
    if (is_v6)
        inside = slice_tail(inside, 5);
    return (slice_find_byte(inside, ':') != SLICE_NOT_FOUND) == is_v6 && address_parse(inside, &address);
}

/* sub-domain = Let-dig [Ldh-str]. Underscores are let through: DNS has them and so do real names of hosts and of mail
 * domains, and nothing is made safer by refusing them. */
static bool label_is_valid(slice label)
{
    enum { LABEL_MAX = 63 };
    if (label.len == 0 || label.len > LABEL_MAX || label.ptr[0] == '-' || label.ptr[label.len - 1] == '-')
        return false;
    for (size_t i = 0; i < label.len; i++)
        if (!ascii_is_alnum(label.ptr[i]) && label.ptr[i] != '-' && label.ptr[i] != '_' && !is_utf8_octet(label.ptr[i]))
            return false;
    return true;
}

bool domain_is_valid(slice domain, bool utf8)
{
    if (domain.len == 0 || domain.len > DOMAIN_MAX)
        return false;
    if (domain.ptr[0] == '[')
        return address_literal_is_valid(domain);
    if (!slice_is_ascii(domain) && (!utf8 || !slice_is_utf8(domain)))
        return false;
    bool more = true;
    while (more) {
        slice label;
        domain = slice_cut(domain, '.', &label, &more);
        if (!label_is_valid(label))
            return false;
    }
    return true;
}

/* Where a domain at the start of s ends: at '>' or at the end. A '>' inside of brackets is no valid literal anyway. */
static size_t domain_length(slice s) { return size_min(slice_find_byte(s, '>'), s.len); }

static enum path_error check_lengths(struct path p)
{
    size_t octets = p.local_part.len + p.domain.len + (p.domain.len ? 3 : 2);
    return p.local_part.len > LOCAL_PART_MAX || p.domain.len > DOMAIN_MAX || octets > PATH_MAX_OCTETS ? PATH_TOO_LONG
                                                                                                      : PATH_OK;
}

/* Mailbox, or a local part alone, at the start of s. */
static struct path_parse parse_mailbox(slice s, bool utf8)
{
    struct path_parse parse = { .error = PATH_OK };
    size_t length = local_part_length(s);
    parse.path.local_part = slice_head(s, length);
    parse.rest = slice_tail(s, length);
    if (length == 0 || !slice_is_utf8(parse.path.local_part)) {
        parse.error = PATH_BAD_LOCAL_PART;
    } else if (parse.rest.len == 0 || parse.rest.ptr[0] == '>') {
        parse.error = PATH_NO_DOMAIN;
    } else if (parse.rest.ptr[0] != '@') {
        parse.error = PATH_BAD_LOCAL_PART;
    } else {
        slice rest = slice_tail(parse.rest, 1);
        parse.path.domain = slice_head(rest, domain_length(rest));
        parse.rest = slice_tail(rest, parse.path.domain.len);
        parse.error = check_lengths(parse.path);
        if (parse.error == PATH_OK && !domain_is_valid(parse.path.domain, true))
            parse.error = PATH_BAD_DOMAIN;
    }
    if (parse.error == PATH_OK && !utf8 &&
        !(slice_is_ascii(parse.path.local_part) && slice_is_ascii(parse.path.domain)))
        parse.error = PATH_NEEDS_UTF8;
    return parse;
}

/* A-d-l = At-domain *( "," At-domain ), dropped with its colon. False: one begins and is wrong. */
static bool drop_source_route(slice *s, bool utf8)
{
    if (s->len == 0 || s->ptr[0] != '@')
        return true;
    slice route, rest;
    bool found, more = true;
    rest = slice_cut(*s, ':', &route, &found);
    /* "[IPv6:...]" has colons, and At-domain = "@" Domain has no literals: none is to be expected here. */
    while (found && more) {
        slice hop;
        route = slice_cut(route, ',', &hop, &more);
        found = hop.len > 1 && hop.ptr[0] == '@' && hop.ptr[1] != '[' && domain_is_valid(slice_tail(hop, 1), utf8);
    }
    *s = rest;
    return found;
}

static struct path_parse failed(enum path_error error) { return (struct path_parse){ .error = error }; }

struct path_parse path_parse(slice input, bool utf8)
{
    if (input.len == 0 || input.ptr[0] != '<')
        return failed(PATH_NO_BRACKETS);
    slice inside = slice_tail(input, 1);
    if (inside.len && inside.ptr[0] == '>')
        return (struct path_parse){ .error = PATH_OK, .rest = slice_tail(inside, 1) };
    if (slice_find_byte(inside, '>') == SLICE_NOT_FOUND)
        return failed(PATH_NO_BRACKETS);
    if (!drop_source_route(&inside, utf8))
        return failed(PATH_BAD_DOMAIN);

    struct path_parse parse = parse_mailbox(inside, utf8);
    if (parse.error == PATH_NO_DOMAIN && parse.rest.len && path_is_postmaster(parse.path))
        parse.error = PATH_OK;
    if (parse.error != PATH_OK)
        return failed(parse.error);
    if (parse.rest.len == 0)
        return failed(PATH_NO_BRACKETS); /* the only '>' stood inside of a quoted string */
    parse.rest = slice_tail(parse.rest, 1);
    return parse;
}

struct path_parse mailbox_parse(slice input, bool utf8)
{
    struct path_parse parse = parse_mailbox(input, utf8);
    if (parse.error == PATH_OK && parse.rest.len)
        parse.error = PATH_BAD_DOMAIN;
    if (parse.error == PATH_NO_DOMAIN && parse.rest.len)
        parse.error = PATH_BAD_LOCAL_PART;
    return parse.error == PATH_OK ? parse : failed(parse.error);
}

/* Goes over a local part as what it means, octet by octet, without its quoting. */
struct unquoted {
    slice rest;
    bool is_quoted;
};
static struct unquoted unquote(slice local_part)
{
    bool is_quoted = local_part.len >= 2 && local_part.ptr[0] == '"';
    return (struct unquoted){ is_quoted ? (slice){ local_part.ptr + 1, local_part.len - 2 } : local_part, is_quoted };
}
static bool next_octet(struct unquoted *u, char *octet)
{
    if (u->is_quoted && u->rest.len > 1 && u->rest.ptr[0] == '\\')
        u->rest = slice_tail(u->rest, 1);
    if (u->rest.len == 0)
        return false;
    *octet = u->rest.ptr[0];
    u->rest = slice_tail(u->rest, 1);
    return true;
}

static bool local_part_eq(slice a, slice b, bool nocase)
{
    struct unquoted left = unquote(a), right = unquote(b);
    char x = 0, y = 0;
    bool more;
    do {
        more = next_octet(&left, &x);
        if (more != next_octet(&right, &y) || (nocase ? ascii_lower(x) != ascii_lower(y) : x != y))
            return false;
    } while (more);
    return true;
}

bool path_is_postmaster(struct path p) { return local_part_eq(p.local_part, SLICE("postmaster"), true); }

bool path_eq(struct path a, struct path b)
{
    return slice_eq_nocase(a.domain, b.domain) && local_part_eq(a.local_part, b.local_part, false);
}

void path_add_unquoted_local_part(struct text *to, struct path p)
{
    struct unquoted local_part = unquote(p.local_part);
    for (char octet; next_octet(&local_part, &octet);)
        text_add_byte(to, octet);
}

void text_add_mailbox(struct text *to, struct path p)
{
    text_add(to, p.local_part);
    if (p.domain.len) {
        text_add_byte(to, '@');
        text_add(to, p.domain);
    }
}

void text_add_path(struct text *to, struct path p)
{
    text_add_byte(to, '<');
    text_add_mailbox(to, p);
    text_add_byte(to, '>');
}
