#include "programs/supervisor/listeners.h"
#include "base/memory.h"
#include "io/stream.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void add_socket(struct bound_sockets *sockets, slice name, enum listener_role role, unsigned loop, int fd)
{
    sockets->items = memory_resize(sockets->items, (sockets->count + 1) * sizeof *sockets->items);
    sockets->items[sockets->count++] =
        (struct bound_socket){ .name = memory_copy_cstr(name.ptr, name.len), .role = role, .loop = loop, .fd = fd };
}

/* The inode of the socket that listens on `port`, from /proc/net/tcp or tcp6; 0: none found. */
static unsigned long listening_inode(const char *table, unsigned port)
{
    FILE *file = fopen(table, "re");
    if (!file)
        return 0;
    char line[512];
    unsigned long found = 0;
    while (!found && fgets(line, sizeof line, file)) {
        unsigned local_port, state;
        unsigned long inode;
        /* sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode */
        if (sscanf(line, " %*u: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*x:%*x %*x:%*x %*x %*u %*u %lu", &local_port,
                   &state, &inode) == 3 &&
            local_port == port && state == 0x0a)
            found = inode;
    }
    fclose(file);
    return found;
}

static bool process_has_socket(const char *pid, unsigned long inode)
{
    char path[300], link[64], want[64];
    snprintf(want, sizeof want, "socket:[%lu]", inode);
    snprintf(path, sizeof path, "/proc/%s/fd", pid);
    DIR *folder = opendir(path);
    if (!folder)
        return false;
    bool has = false;
    for (struct dirent *entry; !has && (entry = readdir(folder));) {
        ssize_t len = readlinkat(dirfd(folder), entry->d_name, link, sizeof link - 1);
        has = len > 0 && (size_t)len == strlen(want) && memcmp(link, want, (size_t)len) == 0;
    }
    closedir(folder);
    return has;
}

static void add_process_name(struct text *error, const char *pid)
{
    char path[300], name[64];
    snprintf(path, sizeof path, "/proc/%s/comm", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? 0 : read(fd, name, sizeof name);
    if (fd >= 0)
        close(fd);
    text_add_format(error, " by process %s", pid);
    if (len > 1)
        text_add_format(error, " (%.*s)", (int)len - 1, name);
}

/* Who has the port, as far as /proc lets us see: only our own processes unless we are root. */
static void add_port_owner(struct text *error, const struct address *address)
{
    unsigned port = address_port(address);
    unsigned long inode = listening_inode("/proc/net/tcp", port);
    if (!inode)
        inode = listening_inode("/proc/net/tcp6", port);
    DIR *processes = inode ? opendir("/proc") : NULL;
    if (!processes)
        return;
    for (struct dirent *entry; (entry = readdir(processes));)
        if (ascii_is_digit(entry->d_name[0]) && process_has_socket(entry->d_name, inode)) {
            add_process_name(error, entry->d_name);
            break;
        }
    closedir(processes);
}

static void explain(struct text *error, const struct config_listener *listener, const struct address *address,
                    int number)
{
    text_add_cstr(error, "cannot listen on ");
    text_add_address_with_port(error, address);
    text_add_format(error, " (listener " SLICE_FMT "): %s", SLICE_ARG(listener->name), strerror(number));
    if (number == EADDRINUSE) {
        add_port_owner(error, address);
        text_add_cstr(error, "; stop that one, or choose another port");
    } else if (number == EACCES) {
        text_add_cstr(error, "; ports below 1024 need root or CAP_NET_BIND_SERVICE, or choose a port such as 2525");
    } else if (number == EADDRNOTAVAIL) {
        text_add_cstr(error, "; this machine has no such address");
    }
}

/* With SO_REUSEPORT a second server could take the same port unnoticed: so it is tried once without. */
static bool port_is_free(const struct address *address)
{
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address_is_v6(address))
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    bool is_free = bind(fd, &address->any, address_length(address)) == 0;
    int number = errno;
    close(fd);
    errno = number;
    return is_free;
}

static bool open_address(struct bound_sockets *sockets, const struct config_listener *listener, slice text,
                         unsigned loops, struct text *error)
{
    struct address address;
    if (!address_parse_with_port(text, &address)) {
        text_add_format(error, "not an ADDR:PORT: " SLICE_FMT, SLICE_ARG(text));
        return false;
    }
    for (unsigned loop = 0; loop < loops; loop++) {
        int fd = loop == 0 && !port_is_free(&address) ? -1 : listener_bind(&address, loops > 1);
        if (fd < 0) {
            explain(error, listener, &address, errno);
            return false;
        }
        add_socket(sockets, listener->name, listener->role, loop, fd);
    }
    return true;
}

bool listeners_open(struct bound_sockets *sockets, const struct config *config, unsigned loops, struct text *error)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];
        for (size_t j = 0; j < listener->address.count; j++)
            if (!open_address(sockets, listener, listener->address.items[j], loops, error))
                return false;
    }
    return true;
}

bool listeners_open_unix(struct bound_sockets *sockets, const char *name, const char *path, unsigned mode, unsigned uid,
                         struct text *error)
{
    int fd = listener_bind_unix(path, mode);
    if (fd < 0 || (uid != geteuid() && lchown(path, uid, (gid_t)-1) != 0)) {
        text_add_format(error, "cannot make the socket %s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    add_socket(sockets, slice_from_cstr(name), ROLE_MX, 0, fd);
    return true;
}

void listeners_close(struct bound_sockets *sockets)
{
    for (size_t i = 0; i < sockets->count; i++) {
        close(sockets->items[i].fd);
        memory_free(sockets->items[i].name);
    }
    memory_free(sockets->items);
    *sockets = (struct bound_sockets){ 0 };
}
