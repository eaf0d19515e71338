#include "programs/ctl/pipe.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static bool write_all(int fd, slice octets)
{
    while (octets.len) {
        ssize_t written = write(fd, octets.ptr, octets.len);
        if (written < 0 && errno != EINTR)
            return false;
        octets = slice_tail(octets, written > 0 ? (size_t)written : 0);
    }
    return true;
}

/* The answer to `submit`, read octet by octet: what follows its line is SMTP. */
static bool ask_for_submission(int fd)
{
    char answer[512];
    size_t octets = 0;
    if (!write_all(fd, SLICE("{\"command\":\"submit\"}\n")))
        return false;
    while (octets < sizeof(answer) && read(fd, answer + octets, 1) == 1 && answer[octets] != '\n')
        octets++;
    if (slice_starts_with(slice_from(answer, octets), SLICE("{\"end\":true")))
        return true;
    fprintf(stderr, "sendmail: the server does not take submissions here: %.*s\n", (int)octets, answer);
    return false;
}

/* False at the end of `from`, or when `to` does not take it. */
static bool pass_on(int from, int to)
{
    char octets[16 * 1024];
    ssize_t got = read(from, octets, sizeof(octets));
    if (got < 0 && errno == EINTR)
        return true;
    return got > 0 && write_all(to, slice_from(octets, (size_t)got));
}

bool pipe_submission(int control_socket)
{
    struct pollfd ends[] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = control_socket, .events = POLLIN } };
    if (!ask_for_submission(control_socket))
        return false;
    for (;;) {
        if (poll(ends, COUNT(ends), -1) < 0 && errno != EINTR)
            return false;
        if (ends[1].revents && !pass_on(control_socket, STDOUT_FILENO))
            return true;
        if (ends[0].revents && !pass_on(STDIN_FILENO, control_socket)) {
            shutdown(control_socket, SHUT_WR);
            ends[0].fd = -1; /* the replies still come */
        }
    }
}
