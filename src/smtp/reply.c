#include "smtp/reply.h"

enum { REPLY_LINE_MAX = 512 }; /* RFC 5321 §4.5.3.1.5, CRLF included */

static void add_line(struct text *to, uint16_t code, struct status status, slice line, bool is_last)
{
    text_add_u64(to, code);
    text_add_byte(to, is_last ? ' ' : '-');
    if (status.class) {
        text_add_status(to, status);
        text_add_byte(to, ' ');
    }
    size_t start = to->len;
    text_add(to, line);
    for (size_t i = start; i < to->len; i++)
        if (to->ptr[i] < 0x20 || to->ptr[i] == 0x7f) /* 0x80 and up are negative */
            to->ptr[i] = '?';
    text_add(to, SLICE("\r\n"));
}

/* What of s goes on one line: all of it, or up to the last space that leaves it short enough. */
static slice take_line(slice *rest)
{
    enum { ROOM = REPLY_LINE_MAX - (int)sizeof("250-5.999.999 \r\n") };
    slice line, after = slice_cut(*rest, '\n', &line, NULL);
    if (line.len <= ROOM) {
        *rest = after;
        return line;
    }
    size_t space = slice_find_byte_last(slice_head(line, ROOM), ' ');
    size_t length = space == SLICE_NOT_FOUND || space == 0 ? ROOM : space;
    *rest = slice_tail(*rest, space == length ? length + 1 : length);
    return slice_head(line, length);
}

void text_add_reply_text(struct text *to, uint16_t code, struct status status, slice text)
{
    do {
        slice line = take_line(&text);
        add_line(to, code, status, line, text.len == 0);
    } while (text.len);
}

void text_add_reply(struct text *to, const struct reply *reply)
{
    text_add_reply_text(to, reply->code, reply->status, slice_from_cstr(reply->text));
}

/* Reply-line = Reply-code [ ("-" / SP) textstring ]: the code, or 0. §4.2: 1yz is no reply of SMTP. */
static unsigned parse_code(slice line)
{
    if (line.len < 3 || line.ptr[0] < '2' || line.ptr[0] > '5' || !ascii_is_digit(line.ptr[1]) ||
        !ascii_is_digit(line.ptr[2]))
        return 0;
    if (line.len > 3 && line.ptr[3] != ' ' && line.ptr[3] != '-')
        return 0;
    return (unsigned)(line.ptr[0] - '0') * 100 + (unsigned)(line.ptr[1] - '0') * 10 + (unsigned)(line.ptr[2] - '0');
}

static void add_remote_text(struct text *to, slice text)
{
    size_t start = to->len;
    text_add(to, text);
    for (size_t i = start; i < to->len; i++)
        if ((unsigned char)to->ptr[i] < 0x20 || to->ptr[i] == 0x7f)
            to->ptr[i] = ' ';
}

static enum reply_read take_reply_line(struct reply_reader *r, slice line)
{
    if (line.len && line.ptr[line.len - 1] == '\r')
        line.len--;
    unsigned code = parse_code(line);
    if (code == 0 || (r->lines && code != r->code) || ++r->lines > REPLY_LINES_MAX)
        return REPLY_BAD;
    r->code = (uint16_t)code;

    bool is_last = line.len == 3 || line.ptr[3] == ' ';
    slice text = slice_tail(line, 4), behind;
    struct status status;
    if (status_parse(text, &status, &behind) && status.class == code / 100) {
        text = behind;
        if (r->lines == 1)
            r->status = status;
    }
    if (r->lines > 1)
        text_add_byte(&r->text, '\n');
    add_remote_text(&r->text, text);
    return is_last ? REPLY_DONE : REPLY_MORE;
}

enum reply_read reply_reader_feed(struct reply_reader *r, slice *input)
{
    enum reply_read result = REPLY_MORE;
    while (result == REPLY_MORE && input->len) {
        size_t end = slice_find_byte(*input, '\n');
        slice piece = slice_head(*input, end);
        if (r->text.len + r->line.len + piece.len > REPLY_OCTETS_MAX)
            return REPLY_BAD;
        *input = slice_tail(*input, end == SLICE_NOT_FOUND ? piece.len : end + 1);
        if (end == SLICE_NOT_FOUND) {
            text_add(&r->line, piece);
        } else if (r->line.len) {
            text_add(&r->line, piece);
            result = take_reply_line(r, text_slice(&r->line));
            text_clear(&r->line);
        } else {
            result = take_reply_line(r, piece);
        }
    }
    return result;
}

void reply_reader_clear(struct reply_reader *r)
{
    text_clear(&r->text);
    text_clear(&r->line);
    r->code = 0;
    r->status = (struct status){ 0 };
    r->lines = 0;
}

void reply_reader_free(struct reply_reader *r)
{
    text_free(&r->text);
    text_free(&r->line);
    *r = (struct reply_reader){ 0 };
}
