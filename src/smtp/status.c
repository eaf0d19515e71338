#include "smtp/status.h"

/* 1*3DIGIT, RFC 3463 §2. */
static bool take_number(slice *s, uint16_t *number)
{
    unsigned value = 0;
    size_t digits = 0;
    while (digits < s->len && digits < 3 && ascii_is_digit(s->ptr[digits]))
        value = value * 10 + (unsigned)(s->ptr[digits++] - '0');
    *s = slice_tail(*s, digits);
    *number = (uint16_t)value;
    return digits > 0;
}

static bool take_dot(slice *s)
{
    if (s->len == 0 || s->ptr[0] != '.')
        return false;
    *s = slice_tail(*s, 1);
    return true;
}

/* status-code = class "." subject "." detail, RFC 3463 §2 */
bool status_parse(slice text, struct status *status, slice *rest)
{
    slice s = text;
    if (s.len == 0 || (s.ptr[0] != '2' && s.ptr[0] != '4' && s.ptr[0] != '5'))
        return false;
    struct status found = { .class = (uint8_t)(s.ptr[0] - '0') };
    s = slice_tail(s, 1);
    if (!take_dot(&s) || !take_number(&s, &found.subject) || !take_dot(&s) || !take_number(&s, &found.detail))
        return false;
    if (s.len && s.ptr[0] != ' ' && s.ptr[0] != '\t')
        return false; /* "2.0.0.1 is my address" */
    *status = found;
    if (rest)
        *rest = slice_tail(s, 1);
    return true;
}

void text_add_status(struct text *to, struct status status)
{
    text_add_u64(to, status.class);
    text_add_byte(to, '.');
    text_add_u64(to, status.subject);
    text_add_byte(to, '.');
    text_add_u64(to, status.detail);
}
