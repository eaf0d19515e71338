#include "programs/supervisor/certificate.h"
#include "base/memory.h"
#include "programs/process.h"
#include "tls/tls.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SELF_SIGNED FOLDER_KEYS "/self-signed.pem"
enum { PEM_MAX = 64 * 1024 };

/* True with *pem filled, or empty when there is no such file. */
static bool read_self_signed(struct text *pem, struct text *error)
{
    int fd = open(SELF_SIGNED, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return true;
    ssize_t len = fd < 0 ? -1 : read(fd, text_reserve(pem, PEM_MAX), PEM_MAX);
    if (len < 0)
        text_add_format(error, "cannot read " SELF_SIGNED ": %s", strerror(errno));
    else
        pem->len = (size_t)len;
    if (fd >= 0)
        close(fd);
    return len >= 0;
}

static bool write_self_signed(slice pem, struct text *error)
{
    int fd = open(SELF_SIGNED ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write(fd, pem.ptr, pem.len) == (ssize_t)pem.len && fsync(fd) == 0;
    if (fd >= 0 && close(fd) != 0)
        ok = false;
    ok = ok && rename(SELF_SIGNED ".new", SELF_SIGNED) == 0;
    if (!ok)
        text_add_format(error, "cannot write " SELF_SIGNED ": %s", strerror(errno));
    return ok;
}

static bool make_self_signed(slice hostname, struct text *pem, struct text *error)
{
    struct text key = { 0 };
    bool ok = tls_make_self_signed(hostname, pem, &key, error);
    if (ok) {
        text_add(pem, text_slice(&key));
        ok = write_self_signed(text_slice(pem), error);
    }
    if (key.ptr)
        memory_wipe(key.ptr, key.len);
    text_free(&key);
    return ok;
}

bool certificate_provide(struct config *config, struct text *error)
{
    if (config->tls.certificate_pem.len)
        return true;
    struct text pem = { 0 };
    bool ok = read_self_signed(&pem, error) && (pem.len || make_self_signed(config->hostname, &pem, error));
    if (ok)
        config->tls.certificate_pem = arena_copy(&config->memory, text_slice(&pem));
    if (pem.ptr)
        memory_wipe(pem.ptr, pem.len);
    text_free(&pem);
    return ok;
}
