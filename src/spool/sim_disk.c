#include "spool/sim_disk.h"
#include "base/memory.h"
#include "base/text.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FDS = 4096, SECTOR = 512 };
struct sim_write {
    uint64_t offset, len;
    char *octets; /* NULL: the file grew to offset + len */
    bool is_lost; /* its sync failed: no later one makes it durable */
};
struct sim_file {
    struct text image; /* durable */
    uint64_t errors;   /* syncs that lost something; each open file description hears once of them */
    struct sim_write *writes;
    size_t write_count;
};
struct sim_name {
    bool in_large;
    char name[64];
    struct sim_file *file;
};
struct sim_names {
    struct sim_name *list;
    size_t count;
};
struct sim_change { /* of names, in order; from "" is a new name, to "" a removed one */
    bool in_large;
    char from[64], to[64];
    struct sim_file *file;
};
struct sim_disk {
    struct disk disk;
    char dir[256];
    ino_t folder;
    struct sim_file **files;
    size_t file_count;
    struct sim_file *by_fd[FDS];
    uint64_t heard[FDS]; /* of the file's errors */
    void (*meanwhile)(void *context);
    void *meanwhile_context;
    struct sim_names seen, durable; /* by the process, by the disk */
    struct sim_change *changes;
    size_t change_count;
    uint64_t calls, fault_at, random;
    enum sim_fault fault;
    bool fault_came, crashed;
};

static struct sim_disk *sim_of(struct disk *disk) { return CONTAINER_OF(disk, struct sim_disk, disk); }

static uint64_t next_random(struct sim_disk *sim)
{
    sim->random = sim->random * 6364136223846793005u + 1442695040888963407u;
    return sim->random >> 33;
}

/* names ------------------------------------------------------------------------------------------------------- */

static bool is_large_folder(const struct sim_disk *sim, int folder)
{
    struct stat status;
    return fstat(folder, &status) == 0 && status.st_ino != sim->folder;
}

static struct sim_name *find_name(struct sim_names *names, bool in_large, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (names->list[i].in_large == in_large && strcmp(names->list[i].name, name) == 0)
            return &names->list[i];
    return NULL;
}

static void set_name(struct sim_names *names, bool in_large, const char *name, struct sim_file *file)
{
    struct sim_name *found = find_name(names, in_large, name);
    if (!found) {
        names->list = memory_resize(names->list, (names->count + 1) * sizeof(*names->list));
        found = &names->list[names->count++];
        *found = (struct sim_name){ .in_large = in_large };
        snprintf(found->name, sizeof(found->name), "%s", name);
    }
    found->file = file;
}

static void drop_name(struct sim_names *names, bool in_large, const char *name)
{
    struct sim_name *found = find_name(names, in_large, name);
    if (found)
        *found = names->list[--names->count];
}

static void apply_change(struct sim_names *names, const struct sim_change *c)
{
    if (c->from[0])
        drop_name(names, c->in_large, c->from);
    if (c->to[0])
        set_name(names, c->in_large, c->to, c->file);
}

static void add_change(struct sim_disk *sim, bool in_large, const char *from, const char *to, struct sim_file *file)
{
    sim->changes = memory_resize(sim->changes, (sim->change_count + 1) * sizeof(*sim->changes));
    struct sim_change *c = &sim->changes[sim->change_count++];
    *c = (struct sim_change){ .in_large = in_large, .file = file };
    snprintf(c->from, sizeof(c->from), "%s", from);
    snprintf(c->to, sizeof(c->to), "%s", to);
    apply_change(&sim->seen, c);
}

static struct sim_file *new_file(struct sim_disk *sim)
{
    sim->files = memory_resize(sim->files, (sim->file_count + 1) * sizeof(*sim->files));
    return sim->files[sim->file_count++] = MEMORY_NEW(struct sim_file);
}

/* octets ------------------------------------------------------------------------------------------------------ */

static void put(struct text *image, uint64_t offset, const char *octets, uint64_t len)
{
    uint64_t end = offset + len;
    if (image->len < end) {
        memset(text_reserve(image, end - image->len), 0, end - image->len);
        image->len = end;
    }
    if (octets && len)
        memcpy(image->ptr + offset, octets, len);
}

static void add_write(struct sim_file *file, uint64_t offset, const char *octets, uint64_t len)
{
    file->writes = memory_resize(file->writes, (file->write_count + 1) * sizeof(*file->writes));
    file->writes[file->write_count++] =
        (struct sim_write){ .offset = offset, .len = len, .octets = octets ? memory_copy(octets, len) : NULL };
}

static void make_durable(struct sim_file *file)
{
    size_t kept = 0;
    for (size_t i = 0; i < file->write_count; i++) {
        struct sim_write *w = &file->writes[i];
        if (w->is_lost) {
            file->writes[kept++] = *w;
            continue;
        }
        put(&file->image, w->offset, w->octets, w->len);
        memory_free(w->octets);
    }
    file->write_count = kept;
}

/* What a power cut makes of one write. */
static void put_perhaps(struct sim_disk *sim, struct text *image, const struct sim_write *w, uint64_t seed)
{
    uint64_t mode = seed == 0 ? 0 : seed == 1 ? 1 : next_random(sim) % 3;
    if (mode == 0)
        return;
    if (mode == 1 || !w->octets) {
        put(image, w->offset, w->octets, w->len);
        return;
    }
    for (uint64_t at = 0; at < w->len;) {
        uint64_t len = SECTOR - (w->offset + at) % SECTOR;
        len = len < w->len - at ? len : w->len - at;
        if (next_random(sim) % 2)
            put(image, w->offset + at, w->octets + at, len);
        at += len;
    }
}

/* the calls --------------------------------------------------------------------------------------------------- */

/* True when this call must fail; errno is set. */
static bool fails(struct sim_disk *sim)
{
    sim->calls++;
    if (sim->crashed) {
        errno = EIO;
        return true;
    }
    if (sim->fault == SIM_NONE || sim->fault_at == 0 || --sim->fault_at > 0)
        return false;
    sim->fault_came = true;
    sim->crashed = sim->fault == SIM_CRASH;
    errno = sim->fault == SIM_FULL ? ENOSPC : EIO;
    return true;
}

static int sim_open(struct disk *disk, int folder, const char *name, int flags)
{
    struct sim_disk *sim = sim_of(disk);
    bool in_large = is_large_folder(sim, folder);
    if (flags & O_CREAT ? fails(sim) : sim->crashed) {
        errno = flags & O_CREAT ? errno : EIO;
        return -1;
    }
    int fd = openat(folder, name, flags | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    assert(fd < FDS);
    struct sim_name *known = find_name(&sim->seen, in_large, name);
    if (!known) {
        add_change(sim, in_large, "", name, new_file(sim));
        known = find_name(&sim->seen, in_large, name);
    }
    sim->by_fd[fd] = known->file;
    sim->heard[fd] = known->file->errors;
    return fd;
}

static int sim_close(struct disk *disk, int fd)
{
    sim_of(disk)->by_fd[fd] = NULL;
    return close(fd);
}

static int sim_allocate(struct disk *disk, int fd, uint64_t octets)
{
    struct sim_disk *sim = sim_of(disk);
    if (fails(sim))
        return -1;
    if (fallocate(fd, 0, 0, (off_t)octets) != 0)
        return -1;
    add_write(sim->by_fd[fd], 0, NULL, octets);
    return 0;
}

static ssize_t sim_write(struct disk *disk, int fd, const struct iovec *parts, int count, uint64_t offset)
{
    struct sim_disk *sim = sim_of(disk);
    bool was_gone = sim->crashed, must_fail = fails(sim);
    int error = errno;
    size_t octets = 0;
    for (int i = 0; i < count; i++)
        octets += parts[i].iov_len;
    char *all = memory_new(octets);
    for (size_t i = 0, at = 0; i < (size_t)count; at += parts[i++].iov_len)
        memcpy(all + at, parts[i].iov_base, parts[i].iov_len);
    size_t written = must_fail && sim->fault != SIM_FULL && !sim->crashed ? octets / 2 : must_fail ? 0 : octets;
    if (sim->crashed && !was_gone)
        add_write(sim->by_fd[fd], offset, all, octets / 2); /* cut off while it was being written */
    if (written) {
        add_write(sim->by_fd[fd], offset, all, written);
        assert(pwrite(fd, all, written, (off_t)offset) == (ssize_t)written);
    }
    memory_free(all);
    errno = error;
    return must_fail ? -1 : (ssize_t)octets;
}

static ssize_t sim_read(struct disk *disk, int fd, void *to, size_t octets, uint64_t offset)
{
    (void)disk;
    return pread(fd, to, octets, (off_t)offset);
}

static int sim_sync(struct disk *disk, int fd)
{
    struct sim_disk *sim = sim_of(disk);
    struct sim_file *file = sim->by_fd[fd];
    void (*meanwhile)(void *context) = sim->meanwhile;
    sim->meanwhile = NULL;
    if (meanwhile)
        meanwhile(sim->meanwhile_context);
    if (fails(sim)) {
        /* the kernel calls the pages clean: what was to be synced now never is, unless it is written again */
        for (size_t i = 0; i < file->write_count && !sim->crashed && sim->fault == SIM_FAIL; i++)
            file->writes[i].is_lost = true;
        if (!sim->crashed && sim->fault == SIM_FAIL)
            sim->heard[fd] = ++file->errors;
        return -1;
    }
    make_durable(file);
    if (sim->heard[fd] == file->errors)
        return 0;
    sim->heard[fd] = file->errors;
    errno = EIO;
    return -1;
}

static int sim_sync_folder(struct disk *disk, int fd)
{
    struct sim_disk *sim = sim_of(disk);
    if (fails(sim))
        return -1;
    bool in_large = is_large_folder(sim, fd);
    size_t kept = 0;
    for (size_t i = 0; i < sim->change_count; i++) {
        if (sim->changes[i].in_large == in_large)
            apply_change(&sim->durable, &sim->changes[i]);
        else
            sim->changes[kept++] = sim->changes[i];
    }
    sim->change_count = kept;
    return 0;
}

static int sim_rename(struct disk *disk, int folder, const char *from, const char *to)
{
    struct sim_disk *sim = sim_of(disk);
    bool in_large = is_large_folder(sim, folder);
    if (fails(sim))
        return -1;
    if (renameat(folder, from, folder, to) != 0)
        return -1;
    add_change(sim, in_large, from, to, find_name(&sim->seen, in_large, from)->file);
    return 0;
}

static int sim_remove(struct disk *disk, int folder, const char *name)
{
    struct sim_disk *sim = sim_of(disk);
    if (fails(sim))
        return -1;
    if (unlinkat(folder, name, 0) != 0)
        return -1;
    add_change(sim, is_large_folder(sim, folder), name, "", NULL);
    return 0;
}

/* beginning and end ------------------------------------------------------------------------------------------- */

static void load_folder(struct sim_disk *sim, const char *dir, bool in_large)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[600], octets[65536];
        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        struct stat status;
        if (stat(path, &status) != 0 || !S_ISREG(status.st_mode) || strcmp(e->d_name, "lock") == 0)
            continue;
        struct sim_file *file = new_file(sim);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        for (ssize_t got; (got = read(fd, octets, sizeof(octets))) > 0;)
            text_add(&file->image, slice_from(octets, (size_t)got));
        close(fd);
        set_name(&sim->seen, in_large, e->d_name, file);
        set_name(&sim->durable, in_large, e->d_name, file);
    }
    if (d)
        closedir(d);
}

struct sim_disk *sim_new(const char *dir)
{
    struct sim_disk *sim = MEMORY_NEW(struct sim_disk);
    sim->disk = (struct disk){ sim_open, sim_close,       sim_allocate, sim_write, sim_read,
                               sim_sync, sim_sync_folder, sim_rename,   sim_remove };
    snprintf(sim->dir, sizeof(sim->dir), "%s", dir);
    struct stat status;
    if (stat(dir, &status) == 0)
        sim->folder = status.st_ino;
    char large[300];
    snprintf(large, sizeof(large), "%s/large", dir);
    load_folder(sim, dir, false);
    load_folder(sim, large, true);
    return sim;
}

struct disk *sim_as_disk(struct sim_disk *sim) { return &sim->disk; }
void sim_set_meanwhile(struct sim_disk *sim, void (*meanwhile)(void *context), void *context)
{
    sim->meanwhile = meanwhile;
    sim->meanwhile_context = context;
}

uint64_t sim_calls(const struct sim_disk *sim) { return sim->calls; }
bool sim_fault_came(const struct sim_disk *sim) { return sim->fault_came; }

void sim_set_fault(struct sim_disk *sim, enum sim_fault fault, uint64_t call)
{
    sim->fault = fault;
    sim->fault_at = call;
    sim->fault_came = sim->crashed = false;
}

static void write_file(struct sim_disk *sim, const char *dir, const struct sim_name *name, uint64_t seed)
{
    char path[400];
    struct text octets = { 0 };
    snprintf(path, sizeof(path), "%s/%s%s", dir, name->in_large ? "large/" : "", name->name);
    text_add(&octets, text_slice(&name->file->image));
    for (size_t i = 0; i < name->file->write_count; i++)
        put_perhaps(sim, &octets, &name->file->writes[i], seed);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert(fd >= 0 && write(fd, octets.ptr, octets.len) == (ssize_t)octets.len);
    close(fd);
    text_free(&octets);
}

void sim_power_cut(struct sim_disk *sim, const char *dir, uint64_t seed)
{
    sim->random = seed;
    char large[300];
    snprintf(large, sizeof(large), "%s/large", dir);
    mkdir(dir, 0700);
    mkdir(large, 0700);
    struct sim_names names = { .list = memory_copy(sim->durable.list, sim->durable.count * sizeof(struct sim_name)),
                               .count = sim->durable.count };
    /* names change in the order of the file system's own journal: the first so many of the changes are there */
    size_t there = seed == 0 ? 0 : seed == 1 ? sim->change_count : next_random(sim) % (sim->change_count + 1);
    for (size_t i = 0; i < there; i++)
        apply_change(&names, &sim->changes[i]);
    for (size_t i = 0; i < names.count; i++)
        write_file(sim, dir, &names.list[i], seed);
    memory_free(names.list);
}

void sim_free(struct sim_disk *sim)
{
    for (size_t i = 0; i < sim->file_count; i++) {
        struct sim_file *file = sim->files[i];
        for (size_t w = 0; w < file->write_count; w++)
            memory_free(file->writes[w].octets);
        memory_free(file->writes);
        text_free(&file->image);
        memory_free(file);
    }
    memory_free(sim->files);
    memory_free(sim->seen.list);
    memory_free(sim->durable.list);
    memory_free(sim->changes);
    memory_free(sim);
}
