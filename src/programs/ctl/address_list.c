#include "programs/ctl/address_list.h"

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/* Octets of a comment, with those nested in it; to the end of s when it is not closed. */
static size_t comment_octets(slice s)
{
    size_t depth = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '\\')
            i++;
        else if (s.ptr[i] == '(')
            depth++;
        else if (s.ptr[i] == ')' && --depth == 0)
            return i + 1;
    }
    return s.len;
}

/* Octets of what begins with a quote or "[" and goes to `close`. */
static size_t quoted_octets(slice s, char close)
{
    for (size_t i = 1; i < s.len; i++) {
        if (s.ptr[i] == '\\')
            i++;
        else if (s.ptr[i] == close)
            return i + 1;
    }
    return s.len;
}

static bool is_joint(char c) { return c == '@' || c == '.'; }

/* One token off *rest into *to, where the address began at `start`. White space and comments count for nothing beside
 * "@" and "."; between two words one space stays, so that "two words" is not taken for one. */
static void take_token(slice *rest, struct text *to, size_t start)
{
    char c = rest->ptr[0];
    size_t octets = 1;
    if (c == '(')
        octets = comment_octets(*rest);
    else if (c == '"' || c == '[')
        octets = quoted_octets(*rest, c == '"' ? '"' : ']');
    bool was_space = to->len > start && to->ptr[to->len - 1] == ' ';
    if (c == '(' || is_space(c)) {
        if (to->len > start && !was_space && !is_joint(to->ptr[to->len - 1]))
            text_add_byte(to, ' ');
    } else {
        if (was_space && is_joint(c))
            to->len--;
        text_add(to, slice_head(*rest, octets));
    }
    *rest = slice_tail(*rest, octets);
}

static void drop_last_space(struct text *to, size_t start)
{
    if (to->len > start && to->ptr[to->len - 1] == ' ')
        to->len--;
}

/* Behind "<": the address up to ">", without "@one,@two:". */
static void take_angle_address(slice *rest, struct text *to)
{
    size_t start = to->len;
    while (rest->len && rest->ptr[0] != '>') {
        bool ends_route = rest->ptr[0] == ':' && to->len > start && to->ptr[start] == '@';
        if (ends_route) {
            to->len = start;
            *rest = slice_tail(*rest, 1);
        } else {
            take_token(rest, to, start);
        }
    }
    drop_last_space(to, start);
    *rest = slice_tail(*rest, 1);
}

bool address_list_next(slice *rest, struct text *mailbox)
{
    size_t start = mailbox->len;
    bool has_angle = false;
    struct text after = { 0 }; /* words behind an angle address mean nothing */
    while (rest->len) {
        char c = rest->ptr[0];
        if (c == ',' || c == ';') {
            *rest = slice_tail(*rest, 1);
            if (mailbox->len > start)
                break;
            has_angle = false;
        } else if (c == ':' && !has_angle) { /* what stood before it was the name of a group */
            *rest = slice_tail(*rest, 1);
            mailbox->len = start;
        } else if (c == '<' && !has_angle) { /* what stood before it was a display name */
            *rest = slice_tail(*rest, 1);
            mailbox->len = start;
            take_angle_address(rest, mailbox);
            has_angle = true;
        } else {
            take_token(rest, has_angle ? &after : mailbox, has_angle ? 0 : start);
        }
    }
    text_free(&after);
    drop_last_space(mailbox, start);
    return mailbox->len > start;
}
