#include "programs/ctl/input.h"
#include "smtp/path.h"
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <unistd.h>

bool input_read_descriptor(int fd, const char *name, struct text *content, struct text *error)
{
    enum { PIECE = 64 * 1024 };
    ssize_t got = 0;
    while (content->len <= INPUT_OCTETS_MAX) {
        got = read(fd, text_reserve(content, PIECE), PIECE);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        content->len += (size_t)got;
    }
    if (got < 0)
        text_add_format(error, "cannot read %s: %s", name, strerror(errno));
    else if (content->len > INPUT_OCTETS_MAX)
        text_add_format(error, "%s is larger than 1G", name);
    return got >= 0 && content->len <= INPUT_OCTETS_MAX;
}

bool input_read_file(const char *name, struct text *content, struct text *error)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        text_add_format(error, "cannot open %s: %s", name, strerror(errno));
        return false;
    }
    bool ok = input_read_descriptor(fd, name, content, error);
    close(fd);
    return ok;
}

void text_add_hostname(struct text *to)
{
    char name[DOMAIN_MAX + 1] = "";
    struct addrinfo hints = { .ai_flags = AI_CANONNAME }, *found = NULL;
    if (gethostname(name, sizeof(name) - 1) != 0 || !*name) {
        text_add(to, SLICE("localhost"));
        return;
    }
    bool is_full = strchr(name, '.') || (getaddrinfo(name, NULL, &hints, &found) == 0 && found->ai_canonname);
    slice full = slice_from_cstr(is_full && found ? found->ai_canonname : name);
    text_add(to, domain_is_valid(full, false) ? full : SLICE("localhost"));
    if (found)
        freeaddrinfo(found);
}

void text_add_mailname(struct text *to)
{
    struct text content = { 0 }, error = { 0 };
    slice name = { 0 };
    if (access("/etc/mailname", R_OK) == 0 && input_read_file("/etc/mailname", &content, &error))
        name = slice_trim_lines(text_slice(&content));
    if (domain_is_valid(name, true))
        text_add(to, name);
    else
        text_add_hostname(to);
    text_free(&content);
    text_free(&error);
}
