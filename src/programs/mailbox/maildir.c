#include "programs/mailbox/maildir.h"
#include "base/memory.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_OCTETS_MAX = 255, WRITE_OCTETS = 256 * 1024 };
#define LEFTOVER_AGE_S (36 * 60 * 60)

static atomic_uint_fast64_t attempt_count; /* keeps names in tmp/ apart; all threads of this process share it */

/* A domain or local part as a folder's name: lower case, nothing that leaves or hides the folder. */
static bool safe_name(slice name, char safe[NAME_OCTETS_MAX + 1])
{
    if (!name.len || name.len > NAME_OCTETS_MAX || name.ptr[0] == '.')
        return false;
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '/' || (unsigned char)name.ptr[i] < 0x20 || name.ptr[i] == 0x7f)
            return false;
        safe[i] = ascii_lower(name.ptr[i]);
    }
    safe[name.len] = 0;
    return true;
}

static void fail(struct maildir_message *message, const char *what)
{
    message->result = MAILDIR_TEMPORARY;
    text_clear(&message->text);
    bool is_full = errno == ENOSPC || errno == EDQUOT;
    text_add_format(&message->text, "%s %s: %s", is_full ? "the mailbox disk is full, cannot" : "cannot", what,
                    strerror(errno));
}

static void refuse_name(struct maildir_message *message)
{
    message->result = MAILDIR_BAD_NAME;
    text_add_cstr(&message->text, "this address cannot be a mailbox here: its name is not usable for a folder");
}

static bool make_folder(int parent, const char *name, bool *is_new)
{
    if (mkdirat(parent, name, 0700) == 0)
        *is_new = true;
    else if (errno != EEXIST)
        return false;
    return true;
}

/* mail/DOMAIN/NAME with its three folders; new folders are synced so that they survive what their mail survives. */
static int open_mailbox(int root, const char *domain, const char *name)
{
    bool domain_is_new = false, is_new = false;
    int mailbox = -1;
    if (!make_folder(root, domain, &domain_is_new) || (domain_is_new && fsync(root) != 0))
        return -1;
    int parent = openat(root, domain, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (parent < 0)
        return -1;
    if (make_folder(parent, name, &is_new) && (!is_new || fsync(parent) == 0))
        mailbox = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    close(parent);
    if (mailbox >= 0) {
        bool inner_is_new = false;
        if (!make_folder(mailbox, "tmp", &inner_is_new) || !make_folder(mailbox, "new", &inner_is_new) ||
            !make_folder(mailbox, "cur", &inner_is_new) || (inner_is_new && fsync(mailbox) != 0)) {
            close(mailbox);
            mailbox = -1;
        }
    }
    return mailbox;
}

static bool write_whole(int fd, slice octets)
{
    while (octets.len) {
        ssize_t written = write(fd, octets.ptr, octets.len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        octets = slice_tail(octets, (size_t)written);
    }
    return true;
}

/* Appends with CRLF turned to LF; *ends_in_cr carries a CR from one piece to the next. */
static void add_with_lf(struct text *to, slice piece, bool *ends_in_cr)
{
    while (piece.len) {
        if (*ends_in_cr && piece.ptr[0] != '\n')
            text_add_byte(to, '\r');
        *ends_in_cr = false;
        size_t cr = slice_find_byte(piece, '\r');
        if (cr == SLICE_NOT_FOUND) {
            text_add(to, piece);
            return;
        }
        text_add(to, slice_head(piece, cr));
        *ends_in_cr = true;
        piece = slice_tail(piece, cr + 1);
    }
}

static bool write_with_lf(int fd, slice octets, struct text *buffer, bool *ends_in_cr)
{
    text_clear(buffer);
    add_with_lf(buffer, octets, ends_in_cr);
    return write_whole(fd, text_slice(buffer));
}

static bool write_file_with_lf(int fd, const struct maildir_message *message, struct text *buffer, bool *ends_in_cr)
{
    struct text piece = { 0 };
    char *octets = text_reserve(&piece, WRITE_OCTETS);
    bool ok = true;
    for (uint64_t at = 0; ok && at < message->file_octets;) {
        size_t want = (size_t)(message->file_octets - at < WRITE_OCTETS ? message->file_octets - at : WRITE_OCTETS);
        ssize_t got = pread(message->file, octets, want, (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            errno = EIO; /* shorter than the spool said */
        ok = got > 0 && write_with_lf(fd, slice_from(octets, (size_t)got), buffer, ends_in_cr);
        at += got > 0 ? (uint64_t)got : 0;
    }
    text_free(&piece);
    return ok;
}

static bool write_message(int fd, const struct maildir_message *message)
{
    struct text buffer = { 0 };
    bool ends_in_cr = false;
    bool ok;
    if (message->file >= 0) {
        ok = write_with_lf(fd, message->head, &buffer, &ends_in_cr) &&
             write_file_with_lf(fd, message, &buffer, &ends_in_cr);
    } else {
        text_reserve(&buffer, message->head.len + message->content.len);
        add_with_lf(&buffer, message->head, &ends_in_cr);
        add_with_lf(&buffer, message->content, &ends_in_cr);
        ok = write_whole(fd, text_slice(&buffer));
    }
    if (ok && ends_in_cr)
        ok = write_whole(fd, SLICE("\r"));
    text_free(&buffer);
    return ok && fsync(fd) == 0;
}

/* "1795629339.I0cad5c9a9a800000R0.host"; the caller's name may not leave the folder. */
static bool make_unique_name(char unique[NAME_OCTETS_MAX + 1], slice name, const char *host)
{
    char safe[NAME_OCTETS_MAX + 1];
    if (!safe_name(name, safe) || strchr(safe, ':'))
        return false;
    return snprintf(unique, NAME_OCTETS_MAX + 1, SLICE_FMT ".%s", SLICE_ARG(name), host) <= NAME_OCTETS_MAX;
}

/* Stored by an attempt whose answer was lost, and perhaps seen by its reader since. */
static bool is_stored(int mailbox, const char *unique)
{
    static const struct {
        const char *folder, *flags;
    } places[] = { { "new", "" }, { "cur", "" }, { "cur", ":2," }, { "cur", ":2,S" } };
    char path[NAME_OCTETS_MAX + 16];
    for (size_t i = 0; i < COUNT(places); i++) {
        snprintf(path, sizeof path, "%s/%s%s", places[i].folder, unique, places[i].flags);
        if (faccessat(mailbox, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            return true;
    }
    return false;
}

static bool store_file(int mailbox, const char *unique, struct maildir_message *message)
{
    char from[NAME_OCTETS_MAX + 48], to[NAME_OCTETS_MAX + 8];
    snprintf(from, sizeof from, "tmp/%s.P%dQ%" PRIu64, unique, (int)getpid(), atomic_fetch_add(&attempt_count, 1));
    snprintf(to, sizeof to, "new/%s", unique);
    if (is_stored(mailbox, unique))
        return true;
    int fd = openat(mailbox, from, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        fail(message, "make a file in the mailbox");
        return false;
    }
    bool ok = write_message(fd, message);
    if (!ok)
        fail(message, "write to the mailbox");
    if (close(fd) != 0 && ok) {
        fail(message, "write to the mailbox");
        ok = false;
    }
    if (ok && renameat(mailbox, from, mailbox, to) != 0) {
        fail(message, "put the file into the mailbox");
        ok = false;
    }
    if (!ok)
        unlinkat(mailbox, from, 0);
    return ok;
}

/* Everything of one mailbox that the batch has: its folder is synced once. */
static void store_in_mailbox(const struct maildir_batch *batch, const char *domain, const char *name,
                             struct maildir_message **messages, size_t count)
{
    int mailbox = open_mailbox(batch->root, domain, name);
    if (mailbox < 0) {
        for (size_t i = 0; i < count; i++)
            fail(messages[i], "open the mailbox");
        return;
    }
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        char unique[NAME_OCTETS_MAX + 1];
        if (!make_unique_name(unique, messages[i]->name, batch->host)) {
            refuse_name(messages[i]);
            continue;
        }
        if (!store_file(mailbox, unique, messages[i]))
            continue;
        messages[i]->result = MAILDIR_OK;
        text_add_format(&messages[i]->text, "%s/%s/new/%s", domain, name, unique);
        any = true;
    }
    int folder = any ? openat(mailbox, "new", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (any && (folder < 0 || fsync(folder) != 0))
        for (size_t i = 0; i < count; i++)
            if (messages[i]->result == MAILDIR_OK)
                fail(messages[i], "sync the mailbox");
    if (folder >= 0)
        close(folder);
    close(mailbox);
}

static bool same_mailbox(const struct maildir_message *a, const struct maildir_message *b)
{
    return slice_eq_nocase(a->domain, b->domain) && slice_eq_nocase(a->local_part, b->local_part);
}

static void store_group(const struct maildir_batch *batch, struct maildir_message **group, size_t count)
{
    char domain[NAME_OCTETS_MAX + 1], name[NAME_OCTETS_MAX + 1];
    if (safe_name(group[0]->domain, domain) && safe_name(group[0]->local_part, name)) {
        store_in_mailbox(batch, domain, name, group, count);
        return;
    }
    for (size_t i = 0; i < count; i++)
        refuse_name(group[i]);
}

void maildir_store(const struct maildir_batch *batch, struct maildir_message *const *messages, size_t count)
{
    struct maildir_message **group = memory_new(count * sizeof(struct maildir_message *));
    bool *is_done = memory_new(count * sizeof *is_done);
    for (size_t i = 0; i < count; i++) {
        if (is_done[i])
            continue;
        size_t in_group = 0;
        for (size_t j = i; j < count; j++)
            if (!is_done[j] && same_mailbox(messages[i], messages[j])) {
                is_done[j] = true;
                group[in_group++] = messages[j];
            }
        store_group(batch, group, in_group);
    }
    memory_free(is_done);
    memory_free(group);
}

static void each_entry(int parent, const char *name, void (*visit)(int folder, const char *entry, uint64_t now_s),
                       uint64_t now_s)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    if (!folder) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (struct dirent *entry; (entry = readdir(folder));)
        if (entry->d_name[0] != '.')
            visit(fd, entry->d_name, now_s);
    closedir(folder);
}

static void remove_if_old(int folder, const char *name, uint64_t now_s)
{
    struct stat file;
    if (fstatat(folder, name, &file, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(file.st_mode) &&
        (uint64_t)file.st_mtime + LEFTOVER_AGE_S < now_s)
        unlinkat(folder, name, 0);
}

static void clean_mailbox(int domain, const char *name, uint64_t now_s)
{
    int mailbox = openat(domain, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (mailbox < 0)
        return;
    each_entry(mailbox, "tmp", remove_if_old, now_s);
    close(mailbox);
}

static void clean_domain(int root, const char *name, uint64_t now_s) { each_entry(root, name, clean_mailbox, now_s); }

void maildir_remove_leftovers(int root, uint64_t now_ms) { each_entry(root, ".", clean_domain, now_ms / 1000); }
