#include "event/text_output.h"
#include "base/json.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEXT_PENDING_MAX = 256 * 1024 };

/* systemd.exec(5): JOURNAL_STREAM holds device and inode of the stream, so that output sent elsewhere is told apart. */
static bool goes_to_journal(int fd)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat status;
    slice device;
    uint64_t device_number, inode_number;
    if (!stream || fstat(fd, &status) != 0)
        return false;
    slice inode = slice_cut(slice_from_cstr(stream), ':', &device, NULL);
    return parse_u64(device, &device_number) && parse_u64(inode, &inode_number) && device_number == status.st_dev &&
           inode_number == status.st_ino;
}

void text_output_open(struct text_output *output, int fd)
{
    *output = (struct text_output){ .fd = fd, .to_journal = fd >= 0 && goes_to_journal(fd) };
}

void text_output_keep_line(struct text_output *output, size_t start)
{
    if (output->pending.len <= TEXT_PENDING_MAX)
        return;
    output->pending.len = start;
    output->lines_left_out++;
}

static bool would_not_wait(int fd)
{
    struct pollfd wanted = { .fd = fd, .events = POLLOUT };
    return poll(&wanted, 1, 0) == 1 && (wanted.revents & POLLOUT);
}

/* A pipe that polls as writable takes PIPE_BUF octets without waiting, not more: whole lines up to that. */
static size_t next_piece(slice pending)
{
    if (pending.len <= PIPE_BUF)
        return pending.len;
    size_t line_end = slice_find_byte_last(slice_head(pending, PIPE_BUF), '\n');
    return line_end == SLICE_NOT_FOUND ? PIPE_BUF : line_end + 1;
}

static size_t write_what_fits(int fd, slice pending)
{
    size_t done = 0;
    while (done < pending.len && would_not_wait(fd)) {
        slice left = slice_tail(pending, done);
        ssize_t written = write(fd, left.ptr, next_piece(left));
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0 && errno != EAGAIN)
            return pending.len; /* nobody is there any more: gone, as with any closed stderr */
        if (written <= 0)
            break;
        done += (size_t)written;
    }
    return done;
}

void text_output_flush(struct text_output *output)
{
    if (output->fd < 0)
        text_clear(&output->pending);
    if (output->pending.len == 0)
        return;
    text_remove_head(&output->pending, write_what_fits(output->fd, text_slice(&output->pending)));
    if (output->pending.len == 0 && output->lines_left_out) {
        text_add_format(&output->pending, "(%llu lines were left out here: they were not read fast enough)\n",
                        (unsigned long long)output->lines_left_out);
        output->lines_left_out = 0;
    }
}

void text_output_close(struct text_output *output)
{
    text_output_flush(output);
    text_free(&output->pending);
}

void text_output_add_value(struct text *to, slice value)
{
    bool is_plain = value.len > 0;
    for (size_t i = 0; i < value.len && is_plain; i++) {
        char c = value.ptr[i];
        is_plain = c > ' ' && c < 0x7f && c != '"' && c != '\\';
    }
    if (is_plain)
        text_add(to, value);
    else
        json_add_string(to, value);
}
