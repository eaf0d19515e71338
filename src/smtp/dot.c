#include "smtp/dot.h"
#include "smtp/scan.h"

/*
 * Reading:
 *               CR             LF
 *   IN_LINE ---------> AFTER_CR ---> LINE_START --- "." ---> AFTER_DOT --- CR ---> AFTER_DOT_CR --- LF ---> ended
 *      ^   anything else  |                |  anything else      |  anything else        |  anything else
 *      +------------------+----------------+---------------------+-----------------------+
 * Only what may still turn out to be the end is held back: the dot (dropped either way) and the CR behind it.
 */
enum { LINE_START, IN_LINE, AFTER_CR, AFTER_DOT, AFTER_DOT_CR };

static const slice bare_cr = LIT("\r");

static void end_line(struct dot_reader *r, uint64_t line_octets)
{
    if (line_octets > r->longest_line)
        r->longest_line = line_octets;
}

/* How far the content at the start of s goes on: to its end, or to a dot at a line's start. */
static size_t read_content(struct dot_reader *r, slice s)
{
    size_t at = 0;
    uint64_t line = r->line_octets;
    unsigned flags = r->flags;
    uint8_t state = r->state;
    while (at < s.len) {
        if (state == AFTER_CR && s.ptr[at] == '\n') {
            end_line(r, line);
            line = 0;
            state = LINE_START;
            if (++at < s.len && s.ptr[at] == '.')
                break;
            continue;
        }
        if (state == AFTER_CR) {
            flags |= DOT_BARE_CR;
            line++;
        }
        state = IN_LINE;
        /* Once 8-bit octets were seen it is quicker not to stop at each of them. */
        slice rest = slice_tail(s, at);
        size_t plain = flags & DOT_8BIT ? scan_line_end(rest) : scan_special(rest);
        if (flags & DOT_8BIT && !(flags & DOT_NUL) && plain && memchr(rest.ptr, 0, plain))
            flags |= DOT_NUL;
        at += plain;
        line += plain;
        if (at == s.len)
            break;
        char octet = s.ptr[at++];
        if (octet == '\r') {
            state = AFTER_CR;
            continue;
        }
        line++;
        flags |= octet == '\n' ? DOT_BARE_LF : octet == '\0' ? DOT_NUL : DOT_8BIT;
    }
    r->line_octets = line;
    r->flags = flags;
    r->state = state;
    return at;
}

/* Looks at the octets that may end the data; false when one of them decides that *run comes next. */
static bool read_ending(struct dot_reader *r, slice *input, slice *run)
{
    char octet = input->ptr[0];
    if (r->state == LINE_START && octet == '.') {
        r->state = AFTER_DOT;
    } else if (r->state == AFTER_DOT && octet == '\r') {
        r->state = AFTER_DOT_CR;
    } else if (r->state == AFTER_DOT_CR && octet == '\n') {
        r->has_ended = true;
    } else if (r->state == AFTER_DOT_CR) {
        r->state = AFTER_CR; /* the CR held back was content; what follows finds it to be bare */
        *run = bare_cr;
        return false;
    } else {
        if (r->state == AFTER_DOT)
            r->state = IN_LINE;
        size_t octets = read_content(r, *input);
        *run = slice_head(*input, octets);
        *input = slice_tail(*input, octets);
        return false;
    }
    *input = slice_tail(*input, 1);
    return true;
}

bool dot_reader_next(struct dot_reader *r, slice *input, slice *run)
{
    while (input->len && !r->has_ended) {
        if (read_ending(r, input, run))
            continue;
        r->octets += run->len;
        return true;
    }
    return false;
}

/* How much of s can be sent as one run; leaves the state for what comes behind it. */
static size_t write_run(struct dot_writer *w, slice s)
{
    size_t at = 0;
    while (at < s.len) {
        char octet = s.ptr[at];
        if (w->state == AFTER_CR) {
            if (octet != '\n')
                return at; /* the next call completes the line end */
            w->state = LINE_START;
            at++;
            continue;
        }
        if (w->state == LINE_START && octet == '.' && !w->dot_is_doubled) {
            w->dot_is_doubled = true;
            return at + 1; /* the dot is sent now and, because it is not taken off the input, again */
        }
        w->dot_is_doubled = false;
        if (octet == '\n')
            return at;
        w->state = IN_LINE;
        at += scan_line_end(slice_tail(s, at));
        if (at < s.len && s.ptr[at] == '\r') {
            w->state = AFTER_CR;
            at++;
        }
    }
    return at;
}

bool dot_writer_next(struct dot_writer *w, slice *input, slice *run)
{
    if (input->len == 0)
        return false;
    if (w->state == AFTER_CR && input->ptr[0] != '\n') {
        *run = SLICE("\n");
        w->state = LINE_START;
        return true;
    }
    if (w->state != AFTER_CR && input->ptr[0] == '\n') {
        *run = SLICE("\r\n");
        *input = slice_tail(*input, 1);
        w->state = LINE_START;
        return true;
    }
    size_t octets = write_run(w, *input);
    *run = slice_head(*input, octets);
    *input = slice_tail(*input, w->dot_is_doubled ? octets - 1 : octets);
    return true;
}

slice dot_writer_end(const struct dot_writer *w)
{
    switch (w->state) {
    case LINE_START:
        return SLICE(".\r\n");
    case AFTER_CR:
        return SLICE("\n.\r\n");
    default:
        return SLICE("\r\n.\r\n");
    }
}
