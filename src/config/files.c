#include "config/files.h"
#include "base/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static bool read_all(int fd, size_t limit, struct text *to, struct text *why)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || S_ISDIR(st.st_mode)) {
        text_add_cstr(why, "cannot be read: it is a folder");
        return false;
    }
    for (;;) {
        enum { STEP = 64 * 1024 };
        ssize_t got = read(fd, text_reserve(to, STEP), STEP);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            text_add_format(why, "cannot be read: %s", strerror(errno));
            return false;
        }
        if (got == 0)
            return true;
        to->len += (size_t)got;
        if (to->len > limit) {
            text_add_cstr(why, "is too large: at most ");
            text_add_size(why, limit);
            text_add_cstr(why, " are allowed");
            return false;
        }
    }
}

bool file_read(const char *path, size_t limit, struct text *to, struct text *why)
{
    /* Not to wait for ever on a FIFO nobody writes to. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        text_add_format(why, "cannot be opened: %s", strerror(errno));
        return false;
    }
    bool ok = read_all(fd, limit, to, why);
    close(fd);
    if (!ok)
        text_wipe_free(to);
    return ok;
}

void text_wipe_free(struct text *text)
{
    if (text->ptr)
        memory_wipe(text->ptr, text->len);
    text_free(text);
}

slice path_below(struct arena *memory, slice folder, slice path)
{
    if (path.len == 0 || path.ptr[0] == '/' || folder.len == 0)
        return arena_copy(memory, path);
    bool has_end = folder.ptr[folder.len - 1] == '/';
    return arena_format(memory, SLICE_FMT "%s" SLICE_FMT, SLICE_ARG(folder), has_end ? "" : "/", SLICE_ARG(path));
}

slice path_folder(slice path)
{
    size_t end = slice_find_byte_last(path, '/');
    return end == SLICE_NOT_FOUND ? SLICE("") : slice_head(path, end + 1);
}

void text_add_pem_blocks(struct text *text, slice pem)
{
    slice line;
    bool is_inside = false;
    while (slice_next_line(&pem, &line)) {
        line = slice_trim_lines(line);
        if (slice_starts_with(line, SLICE("-----BEGIN ")))
            is_inside = true;
        if (is_inside && slice_is_ascii(line)) {
            text_add(text, line);
            text_add_byte(text, '\n');
        }
        if (slice_starts_with(line, SLICE("-----END ")))
            is_inside = false;
    }
}
