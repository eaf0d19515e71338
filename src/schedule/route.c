#include "base/arena.h"
#include "schedule/schedule.h"
/*
 * route - from a recipient to the destination whose queue it waits in. Everything a destination's connections depend on
 * is part of its key: two routes to one host that differ in TLS or in who signs in do not share connections.
 *
 * Memory: the slices of a destination point into the configuration, the path and the arena.
 */
enum { MAILBOX_CONNECTIONS = 20, MAILBOX_TASKS = 1000000 };

static const char *const tls_words[] = { [TLS_NONE] = "none",
                                         [TLS_OPPORTUNISTIC] = "opportunistic",
                                         [TLS_REQUIRED] = "required",
                                         [TLS_VERIFIED] = "verified",
                                         [TLS_IMPLICIT] = "implicit" };
_Static_assert((int)TLS_NONE == (int)DESTINATION_TLS_NONE &&
                   (int)TLS_OPPORTUNISTIC == (int)DESTINATION_TLS_OPPORTUNISTIC &&
                   (int)TLS_REQUIRED == (int)DESTINATION_TLS_REQUIRED &&
                   (int)TLS_VERIFIED == (int)DESTINATION_TLS_VERIFIED &&
                   (int)TLS_IMPLICIT == (int)DESTINATION_TLS_IMPLICIT,
               "the words of the configuration are those of the door");

static void to_mailbox(struct destination *to)
{
    *to = (struct destination){
        .kind = DESTINATION_MAILBOX,
        .key = SLICE("mailbox"),
        .name = SLICE("mailbox"),
        .connections_max = MAILBOX_CONNECTIONS,
        .messages_per_connection = MAILBOX_TASKS,
    };
}

/* HOST:PORT as the configuration checked it: the brackets of an IPv6 address go. */
static void split_host_port(slice text, struct destination *to)
{
    size_t colon = slice_find_byte_last(text, ':');
    uint64_t port = 0;
    bool ok = colon != SLICE_NOT_FOUND && parse_u64(slice_tail(text, colon + 1), &port) && port <= UINT16_MAX;
    assert(ok);
    (void)ok;
    to->port = (uint16_t)port;
    to->host = slice_head(text, colon);
    if (to->host.len > 2 && to->host.ptr[0] == '[')
        to->host = slice_head(slice_tail(to->host, 1), to->host.len - 2);
}

static void to_host(const struct config_route *route, struct arena *memory, struct destination *to)
{
    bool is_lmtp = route->via == ROUTE_LMTP;
    to->kind = is_lmtp ? DESTINATION_LMTP : DESTINATION_HOST;
    to->name = route->host;
    if (slice_starts_with(route->host, SLICE("unix:")))
        to->host = route->host;
    else
        split_host_port(route->host, to);
    to->tls = (enum destination_tls)route->tls;
    to->ca_pem = route->ca_pem;
    to->username = route->username;
    to->password = route->password;
    /* The default case stays readable in lists: "host:relay.example:587". */
    const char *tls = route->tls == TLS_OPPORTUNISTIC ? "" : tls_words[route->tls];
    to->key =
        arena_format(memory, "%s:" SLICE_FMT "%s%s%s" SLICE_FMT, is_lmtp ? "lmtp" : "host", SLICE_ARG(route->host),
                     *tls ? " tls=" : "", tls, route->username.len ? " as=" : "", SLICE_ARG(route->username));
}

/* RFC 5321 §2.3.5, §4.1.3: an address literal names the host itself, there is no MX to ask for. */
static bool literal_address(slice domain, struct address *address)
{
    if (domain.len < 3 || domain.ptr[0] != '[' || domain.ptr[domain.len - 1] != ']')
        return false;
    slice inner = slice_head(slice_tail(domain, 1), domain.len - 2);
    if (slice_starts_with_nocase(inner, SLICE("IPv6:")))
        return address_parse(slice_tail(inner, 5), address) && slice_find_byte(inner, ':') != SLICE_NOT_FOUND;
    return address_parse(inner, address) && !address_is_v6(address);
}

static bool to_domain(const struct config *config, slice domain, enum tls_level tls, struct arena *memory,
                      struct destination *to)
{
    struct address address;
    bool is_literal = domain.ptr[0] == '[';
    if (is_literal && !literal_address(domain, &address))
        return false;
    to->port = (uint16_t)config->dns.mx_port;
    to->tls = (enum destination_tls)tls;
    struct text text = { 0 };
    text_add_cstr(&text, is_literal ? "host:" : "mx:");
    size_t start = text.len;
    if (is_literal) {
        address_set_port(&address, to->port);
        text_add_address_with_port(&text, &address);
    } else {
        for (size_t i = 0; i < domain.len; i++)
            text_add_byte(&text, ascii_lower(domain.ptr[i]));
    }
    size_t end = text.len;
    if (tls != TLS_OPPORTUNISTIC)
        text_add_format(&text, " tls=%s", tls_words[tls]);
    to->key = arena_copy(memory, text_slice(&text));
    to->name = slice_tail(slice_head(to->key, end), start);
    to->kind = is_literal ? DESTINATION_HOST : DESTINATION_MX;
    to->host = to->name;
    if (is_literal)
        split_host_port(to->name, to);
    text_free(&text);
    return true;
}

static void to_capture(const struct config_route *route, struct arena *memory, struct destination *to)
{
    to->kind = DESTINATION_MAILBOX;
    to->mailbox = route->mailbox;
    to->key = arena_format(memory, "capture:" SLICE_FMT, SLICE_ARG(route->mailbox));
    to->name = to->key;
    to->connections_max = MAILBOX_CONNECTIONS;
    to->messages_per_connection = MAILBOX_TASKS;
}

bool route_find(const struct config *config, const struct directory *directory, struct path path, struct arena *memory,
                struct destination *to)
{
    bool is_ours = directory_has_domain(directory, path.domain);
    /* A route that names one of our domains itself hands its mail on, to an LMTP store for one. */
    const struct config_route *route =
        is_ours ? config_find_exact_route(config, path.domain) : config_find_route(config, path.domain);
    if (is_ours && !route) {
        to_mailbox(to);
        return true;
    }
    if (path.domain.len == 0)
        return false;
    static const struct config_route by_mx = {
        .via = ROUTE_MX, .tls = TLS_OPPORTUNISTIC, .connections = 20, .messages_per_connection = 1000
    };
    if (!route)
        route = &by_mx;
    *to = (struct destination){ .connections_max = route->connections,
                                .messages_per_connection = route->messages_per_connection };
    switch (route->via) {
    case ROUTE_MX:
        return to_domain(config, path.domain, route->tls, memory, to);
    case ROUTE_SMARTHOST:
    case ROUTE_LMTP:
        to_host(route, memory, to);
        return true;
    case ROUTE_CAPTURE:
        to_capture(route, memory, to);
        return true;
    case ROUTE_DISCARD:
        to->kind = DESTINATION_DISCARD;
        to->key = to->name = SLICE("discard");
        return true;
    }
    return false;
}
