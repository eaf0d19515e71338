#include "programs/ctl/secret.h"
#include "base/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

bool secret_read_line(int fd, struct text *secret, struct text *error)
{
    char octet = 0;
    ssize_t got = 0;
    text_reserve(secret, SECRET_MAX + 1); /* never moved: no copy stays behind in freed memory */
    while (secret->len <= SECRET_MAX && ((got = read(fd, &octet, 1)) == 1 || (got < 0 && errno == EINTR)))
        if (got == 1) {
            if (octet == '\n')
                break;
            text_add_byte(secret, octet);
        }
    if (got < 0 || secret->len > SECRET_MAX) {
        text_add_format(error, "cannot read the password: %s", got < 0 ? strerror(errno) : "it is too long");
        return false;
    }
    if (secret->len && secret->ptr[secret->len - 1] == '\r')
        secret->len--;
    return true;
}

bool secret_read_file(const char *file, struct text *secret, struct text *error)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        text_add_format(error, "cannot open the password file %s: %s", file, strerror(errno));
        return false;
    }
    bool ok = secret_read_line(fd, secret, error);
    close(fd);
    return ok;
}

static bool ask(int terminal, const char *question, struct text *secret, struct text *error)
{
    struct termios shown, hidden;
    if (tcgetattr(terminal, &shown) != 0) {
        text_add_format(error, "cannot ask on the terminal: %s", strerror(errno));
        return false;
    }
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    hidden.c_lflag |= ECHONL;
    dprintf(terminal, "%s", question);
    tcsetattr(terminal, TCSAFLUSH, &hidden);
    bool ok = secret_read_line(terminal, secret, error);
    tcsetattr(terminal, TCSAFLUSH, &shown);
    return ok;
}

bool secret_ask_twice(const char *question, const char *again, struct text *secret, struct text *error)
{
    struct text second = { 0 };
    int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (terminal < 0) {
        text_add_cstr(error, "there is no terminal to ask for the password: use --password-stdin");
        return false;
    }
    bool ok = ask(terminal, question, secret, error) && (!again || ask(terminal, again, &second, error));
    if (ok && again && !slice_eq(text_slice(secret), text_slice(&second))) {
        text_add_cstr(error, "the two passwords differ; nothing was changed");
        ok = false;
    }
    close(terminal);
    memory_wipe(second.ptr, second.len);
    text_free(&second);
    return ok;
}
