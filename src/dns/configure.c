#include "base/memory.h"
#include "dns/inside.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
/*
 * configure - sets libunbound up. All files are read here and now: the process may confine itself afterwards.
 */
static const char resolv_conf[] = "/etc/resolv.conf";
static const char root_key[] = "/usr/share/dns/root.key"; /* package dns-root-data */
enum { FILE_MAX = 64 * 1024 };

/* The presets of the library are for a program that asks now and then. */
static const char settings[] = "server:\n"
                               "  verbosity: 0\n"
                               "  use-syslog: no\n"
                               "  msg-cache-size: 16m\n"
                               "  rrset-cache-size: 32m\n"
                               "  neg-cache-size: 2m\n"
                               "  key-cache-size: 4m\n"
                               "  outgoing-range: 512\n"
                               "  num-queries-per-thread: 2048\n"
                               "  outgoing-num-tcp: 16\n"
                               "  rrset-roundrobin: yes\n"
                               "  cache-max-ttl: 86400\n"
                               "  cache-max-negative-ttl: 900\n";

/* A server that was named is asked for everything: also what the library else answers by itself. */
static const char ask_the_server[] = "  unblock-lan-zones: yes\n"
                                     "  insecure-lan-zones: yes\n"
                                     "  local-zone: \"localhost.\" nodefault\n"
                                     "  local-zone: \"test.\" nodefault\n"
                                     "  local-zone: \"invalid.\" nodefault\n"
                                     "  local-zone: \"onion.\" nodefault\n"
                                     "  local-zone: \"home.arpa.\" nodefault\n"
                                     "  local-zone: \"resolver.arpa.\" nodefault\n"
                                     "  local-zone: \"service.arpa.\" nodefault\n"
                                     "  local-zone: \"127.in-addr.arpa.\" nodefault\n"
                                     "  local-zone: \"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
                                     "ip6.arpa.\" nodefault\n";
static const char servers_may_be_local[] = "  do-not-query-localhost: no\n";

static bool failed(int error_number, const char *what, struct text *error)
{
    if (error_number)
        text_add_format(error, "DNS resolver: %s: %s", what, ub_strerror(error_number));
    return error_number != 0;
}

/* libunbound reads settings from a file only: one in memory. */
static bool apply_settings(struct ub_ctx *context, slice text, struct text *error)
{
    char path[64];
    int fd = memfd_create("resolver", MFD_CLOEXEC);
    bool ok = fd >= 0 && write(fd, text.ptr, text.len) == (ssize_t)text.len;
    if (ok) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ok = !failed(ub_ctx_config(context, path), "its settings are refused", error);
    } else {
        text_add_cstr(error, "DNS resolver: no memory for its settings");
    }
    if (fd >= 0)
        close(fd);
    return ok;
}

/* False when there is no such file or it is not readable. */
static bool read_small_file(const char *path, struct text *to)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, text_reserve(to, FILE_MAX), FILE_MAX);
    close(fd);
    to->len += got > 0 ? (size_t)got : 0;
    return got > 0;
}

/* The name servers of resolv.conf. A line that cannot be used is passed over, as libc does. */
static void find_system_servers(struct dns_setup *setup)
{
    struct text file = { 0 };
    (void)read_small_file(resolv_conf, &file);
    slice rest = text_slice(&file), line;
    while (setup->server_count < SERVERS_MAX && slice_next_line(&rest, &line)) {
        static const slice keyword = LIT("nameserver");
        line = slice_trim(line);
        slice value = slice_tail(line, keyword.len), address = slice_trim(value);
        if (slice_starts_with(line, keyword) && address.len < value.len &&
            address_parse(address, &setup->servers[setup->server_count]))
            setup->server_count++;
    }
    text_free(&file);
}

bool dns_setup_from(const struct dns_params *params, struct dns_setup *setup, struct text *error)
{
    *setup = (struct dns_setup){ 0 };
    if (!params->server) {
        find_system_servers(setup);
        setup->has_anchor = true;
        return true;
    }
    slice server = slice_from_cstr(params->server);
    bool ok = address_parse_with_port(server, &setup->servers[0]) || address_parse(server, &setup->servers[0]);
    if (!ok)
        text_add_format(error, "DNS server \"%s\": an address with or without port is expected, like 127.0.0.1:5353",
                        params->server);
    setup->server_count = 1;
    setup->asks_everything = true;
    return ok;
}

static bool add_server(struct ub_ctx *context, const struct address *address, struct text *error)
{
    struct text name = { 0 };
    text_add_address(&name, address);
    if (address_port(address))
        text_add_format(&name, "@%u", address_port(address));
    bool ok = !failed(ub_ctx_set_fwd(context, text_cstr(&name)), text_cstr(&name), error);
    text_free(&name);
    return ok;
}

static void add_root_anchor(struct ub_ctx *context)
{
    struct text file = { 0 };
    (void)read_small_file(root_key, &file); /* without it answers are used, but never called secure */
    slice rest = text_slice(&file), line;
    while (slice_next_line(&rest, &line)) {
        slice_cut(line, ';', &line, NULL);
        line = slice_trim(line);
        if (line.len == 0)
            continue;
        char *record = memory_copy_cstr(line.ptr, line.len);
        (void)ub_ctx_add_ta(context, record);
        memory_free(record);
    }
    text_free(&file);
}

static bool configure(struct ub_ctx *context, const struct dns_setup *setup, struct text *error)
{
    struct text text = { 0 };
    (void)ub_ctx_debugout(context, NULL); /* stderr is ours */
    text_add_cstr(&text, settings);
    if (setup->server_count)
        text_add_cstr(&text, servers_may_be_local);
    if (setup->asks_everything)
        text_add_cstr(&text, ask_the_server);
    bool ok = apply_settings(context, text_slice(&text), error);
    text_free(&text);
    for (size_t i = 0; ok && i < setup->server_count; i++)
        ok = add_server(context, &setup->servers[i], error);
    if (setup->has_anchor)
        add_root_anchor(context);
    /* a thread, not a child process */
    ok = ok && !failed(ub_ctx_async(context, 1), "no thread", error);
    /* the first change of a zone makes the library take its settings in: now, not with the first question */
    return ok && !failed(ub_ctx_zone_remove(context, "resolver-is-ready.invalid."), "it does not start", error);
}

struct ub_ctx *dns_configure(const struct dns_setup *setup, struct text *error)
{
    struct ub_ctx *context = ub_ctx_create();
    if (!context) {
        text_add_cstr(error, "DNS resolver: no memory");
        return NULL;
    }
    if (configure(context, setup, error))
        return context;
    ub_ctx_delete(context);
    return NULL;
}
