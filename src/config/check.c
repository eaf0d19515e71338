#include "config/mistake.h"
#include "config/reader.h"
#include "config/value.h"
#include <netdb.h>
#include <unistd.h>
/*
 * check - what no single value shows: values that contradict each other, names given twice, addresses that are none.
 * Folds domains to lower case on the way, so that everyone after us may compare octets.
 */
typedef struct reader reader;

static slice quoted(reader *r, slice value)
{
    struct text text = { 0 };
    text_add_quoted(&text, value);
    slice copy = arena_copy(&r->scratch, text_slice(&text));
    text_free(&text);
    return copy;
}

/* Values are slices; maps hold pointers that are not NULL: positions are kept as numbers from 1 on. */
static void *number_to_value(size_t number) { return (void *)(uintptr_t)(number + 1); }
static size_t value_to_number(const void *value) { return (size_t)(uintptr_t)value - 1; }

/* True when `key` is new; else a mistake that tells where the first stands. */
static bool note_unique(reader *r, struct map *seen, slice key, enum section_id id, size_t index, const char *option)
{
    void *earlier = map_get(seen, key);
    if (!earlier) {
        map_set(seen, key, number_to_value(index));
        return true;
    }
    slice place = reader_place(r, id, value_to_number(earlier), option), shown = quoted(r, key);
    reader_mistake(r, id, index, option, SLICE_FMT " is given twice; the first is at " SLICE_FMT, SLICE_ARG(shown),
                   SLICE_ARG(place));
    return false;
}

/* --- addresses ---------------------------------------------------------------------------------------------------- */

static const char *local_part_problem(slice local)
{
    enum { LOCAL_PART_OCTETS_MAX = 64 };
    bool is_quoted = local.len >= 2 && local.ptr[0] == '"' && local.ptr[local.len - 1] == '"';
    if (local.len == 0)
        return "nothing stands before the @";
    if (local.len > LOCAL_PART_OCTETS_MAX)
        return "more than 64 octets stand before the @";
    if (is_quoted)
        return NULL;
    for (size_t i = 0; i < local.len; i++)
        if (memchr(" <>(),;:\\\"[]@", local.ptr[i], 13))
            return "before the @ stands a character that needs quotes";
    if (local.ptr[0] == '.' || local.ptr[local.len - 1] == '.' || slice_find(local, SLICE("..")) != SLICE_NOT_FOUND)
        return "before the @ stands a dot at an end, or two in a row";
    return NULL;
}

/* name@domain; the domain is folded in a copy that replaces *address. False: a mistake was added. */
static bool check_address(reader *r, slice *address, enum section_id id, size_t index, const char *option)
{
    size_t at = slice_find_byte_last(*address, '@');
    struct text why = { 0 };
    if (at == SLICE_NOT_FOUND) {
        text_add_cstr(&why, "the @ is missing");
    } else {
        slice domain = slice_tail(*address, at + 1);
        const char *problem = local_part_problem(slice_head(*address, at));
        text_add_cstr(&why, problem ? problem : "the domain ");
        if (!problem && host_name_is_valid(domain, &why)) {
            text_clear(&why);
            slice folded = arena_copy(&r->config->memory, *address), lower = arena_copy_lower(&r->scratch, domain);
            memcpy((char *)(uintptr_t)folded.ptr + at + 1, lower.ptr, lower.len);
            *address = folded;
        }
    }
    bool ok = why.len == 0;
    slice shown = quoted(r, *address);
    if (!ok)
        reader_mistake(r, id, index, option, "expected an address, name@domain, found " SLICE_FMT ": " SLICE_FMT,
                       SLICE_ARG(shown), SLICE_ARG(text_slice(&why)));
    text_free(&why);
    return ok;
}

/* The same for the name of a mailbox, which is a folder's too. */
static bool check_mailbox(reader *r, slice *address, enum section_id id, size_t index, const char *option)
{
    if (!check_address(r, address, id, index, option))
        return false;
    if (slice_find_byte(*address, '/') == SLICE_NOT_FOUND)
        return true;
    reader_mistake(r, id, index, option, "a mailbox is a folder: its name cannot hold a /");
    return false;
}

static slice domain_of(slice address) { return slice_tail(address, slice_find_byte_last(address, '@') + 1); }

/* --- sections ----------------------------------------------------------------------------------------------------- */

static bool ask_machine_name(struct text *name)
{
    enum { NAME_OCTETS = 256 };
    char own[NAME_OCTETS] = "";
    if (gethostname(own, sizeof(own) - 1) != 0)
        return false;
    /* The full name where the machine's own is short: from its hosts file or from DNS. */
    struct addrinfo hints = { .ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM }, *found = NULL;
    if (!strchr(own, '.') && getaddrinfo(own, NULL, &hints, &found) == 0 && found && found->ai_canonname &&
        strchr(found->ai_canonname, '.') && strncmp(found->ai_canonname, "localhost", 9) != 0)
        text_add_cstr(name, found->ai_canonname);
    else
        text_add_cstr(name, own);
    if (found)
        freeaddrinfo(found);
    if (name->len && name->ptr[name->len - 1] == '.')
        name->len--;
    return true;
}

static void check_server(reader *r)
{
    struct config *config = r->config;
    struct {
        const char *option;
        slice value;
    } needed[] = {
        { "dir", config->dir },
        { "user_mta", config->user_mta },
        { "user_keyring", config->user_keyring },
        { "user_mailbox", config->user_mailbox },
    };
    for (size_t i = 0; i < COUNT(needed); i++)
        if (needed[i].value.len == 0)
            reader_mistake(r, SECTION_SERVER, 0, needed[i].option, "must not be empty");
    if (config->hostname.len || r->mistakes->count)
        return; /* only a configuration that is otherwise right needs to know the machine's name */
    struct text name = { 0 }, why = { 0 };
    if (ask_machine_name(&name) && host_name_is_valid(text_slice(&name), &why))
        config->hostname = arena_copy_lower(&config->memory, text_slice(&name));
    else
        reader_mistake(r, SECTION_SERVER, 0, "hostname",
                       "is not set, and the machine's own name \"%s\" %s; set hostname to this server's name in DNS",
                       text_cstr(&name), why.len ? text_cstr(&why) : "is not known");
    text_free(&name);
    text_free(&why);
}

static const char *const role_words[] = { [ROLE_MX] = "mx",
                                          [ROLE_SUBMISSION] = "submission",
                                          [ROLE_SUBMISSIONS] = "submissions",
                                          [ROLE_ALTERNATIVE] = "alternative" };

static void check_listeners(reader *r)
{
    struct map addresses = { 0 }, names = { 0 };
    for (size_t i = 0; i < r->config->listener_count; i++) {
        struct config_listener *l = &r->config->listeners[i];
        if (l->name.len == 0)
            l->name = arena_copy(&r->config->memory, slice_from_cstr(role_words[l->role]));
        for (size_t a = 0; a < l->address.count; a++)
            (void)note_unique(r, &addresses, l->address.items[a], SECTION_LISTENERS, i, "address");
        const void *other = map_get(&names, l->name);
        if (slice_eq(l->name, SLICE("control")))
            reader_mistake(r, SECTION_LISTENERS, i, "name", "the name \"control\" is taken by the control socket");
        else if (other && r->config->listeners[value_to_number(other)].role != l->role)
            reader_mistake(r, SECTION_LISTENERS, i, "name", "a listener of another role has this name already");
        else
            map_set(&names, l->name, number_to_value(i));
    }
    map_free(&addresses);
    map_free(&names);
}

static bool has_block(slice pem, const char *of)
{
    slice line, wanted = slice_from_cstr(of);
    while (slice_next_line(&pem, &line))
        if (slice_starts_with(line, SLICE("-----BEGIN ")) && slice_find(line, wanted) != SLICE_NOT_FOUND)
            return true;
    return false;
}

/* Files that could not be read, or hold nothing, have their mistake already. */
static void check_tls(reader *r)
{
    const struct config_tls *tls = &r->config->tls;
    bool has_certificate = tls->certificate_pem.len || tls->certificate.len, has_key = tls->key_pem.len || tls->key.len;
    if (!has_certificate && has_key)
        reader_mistake(r, SECTION_TLS, 0, "certificate", "is missing: there is a key without a certificate");
    else if (tls->certificate_pem.len && !has_block(tls->certificate_pem, "CERTIFICATE"))
        reader_mistake(r, SECTION_TLS, 0, "certificate",
                       "no certificate (-----BEGIN CERTIFICATE-----) is in this file");
    else if (tls->certificate_pem.len && !has_key && !has_block(tls->certificate_pem, "PRIVATE KEY"))
        reader_mistake(r, SECTION_TLS, 0, "key", "is missing, and the certificate's file holds no private key");
    if (tls->key_pem.len && !has_block(tls->key_pem, "PRIVATE KEY"))
        reader_mistake(r, SECTION_TLS, 0, "key", "no private key (-----BEGIN PRIVATE KEY-----) is in this file");
}

static void check_domains(reader *r, struct map *hosted)
{
    for (size_t i = 0; i < r->config->domain_count; i++) {
        struct config_domain *d = &r->config->domains[i];
        if (d->name.len)
            (void)note_unique(r, hosted, d->name, SECTION_DOMAINS, i, "name");
        if (d->catch_all.len)
            (void)check_address(r, &d->catch_all, SECTION_DOMAINS, i, "catch_all");
        slice separator = d->address_extension;
        bool is_fine =
            separator.len == 0 || (separator.len == 1 && memchr("+-_=#~!%&$/^|", separator.ptr[0], 13) != NULL);
        if (!is_fine)
            reader_mistake(r, SECTION_DOMAINS, i, "address_extension",
                           "expected one of the characters + - _ = # ~ ! %% & $ / ^ |, or \"\" for none");
    }
}

static void check_aliases(reader *r, const struct map *hosted)
{
    struct map seen = { 0 };
    for (size_t i = 0; i < r->config->alias_count; i++) {
        struct config_alias *a = &r->config->aliases[i];
        for (size_t t = 0; t < a->targets.count; t++)
            (void)check_address(r, &a->targets.items[t], SECTION_ALIASES, i, "targets");
        if (!a->address.len || !check_address(r, &a->address, SECTION_ALIASES, i, "address") ||
            !note_unique(r, &seen, a->address, SECTION_ALIASES, i, "address"))
            continue;
        slice domain = domain_of(a->address);
        if (map_get(hosted, domain))
            continue;
        struct nearest nearest = nearest_start(domain);
        for (size_t d = 0; d < r->config->domain_count && d < 1000; d++)
            nearest_offer(&nearest, r->config->domains[d].name);
        struct text why = { 0 };
        text_add_nearest(&why, &nearest);
        reader_mistake(r, SECTION_ALIASES, i, "address", SLICE_FMT " is not among the domains" SLICE_FMT,
                       SLICE_ARG(domain), SLICE_ARG(text_slice(&why)));
        text_free(&why);
    }
    map_free(&seen);
}

static void check_accounts(reader *r)
{
    struct map seen = { 0 };
    for (size_t i = 0; i < r->config->account_count; i++) {
        struct config_account *a = &r->config->accounts[i];
        if (a->address.len && check_mailbox(r, &a->address, SECTION_ACCOUNTS, i, "address"))
            (void)note_unique(r, &seen, a->address, SECTION_ACCOUNTS, i, "address");
        struct item_places *places = &r->gathered[SECTION_ACCOUNTS].places[i];
        const struct section *section = &config_sections[SECTION_ACCOUNTS];
        /* By what is written, not by what it came to: a secret that could not be read has its own mistake. */
        bool has_password = places->options[section_find_option(section, SLICE("password")) - section->options];
        bool has_hash = places->options[section_find_option(section, SLICE("password_hash")) - section->options];
        if (!has_password && !has_hash)
            reader_mistake(r, SECTION_ACCOUNTS, i, "password",
                           "is missing: an account needs password or password_hash");
        else if (a->password.len && a->password_hash.len)
            reader_mistake(r, SECTION_ACCOUNTS, i, "password",
                           "is given together with password_hash; one of them is enough");
        else if (a->password_hash.len && !memchr("$*!", a->password_hash.ptr[0], 3))
            reader_mistake(r, SECTION_ACCOUNTS, i, "password_hash",
                           "is not a crypt(5) hash (it would begin with $); is it the password itself?");
    }
    map_free(&seen);
}

/* HOST:PORT, [V6]:PORT, a name or an address. */
static bool host_port_is_valid(slice host, struct text *why)
{
    struct address address;
    if (address_parse_with_port(host, &address))
        return address_port(&address) != 0;
    size_t colon = slice_find_byte_last(host, ':');
    uint64_t port;
    if (colon == SLICE_NOT_FOUND || !parse_u64(slice_tail(host, colon + 1), &port) || port == 0 || port > 65535) {
        text_add_cstr(why, "the port is missing or not a number from 1 to 65535");
        return false;
    }
    text_add_cstr(why, "the name ");
    return host_name_is_valid(slice_head(host, colon), why);
}

static void check_route_host(reader *r, size_t i)
{
    const struct config_route *route = &r->config->routes[i];
    bool needs_host = route->via == ROUTE_SMARTHOST || route->via == ROUTE_LMTP;
    bool is_socket = slice_starts_with(route->host, SLICE("unix:"));
    struct text why = { 0 };
    if (!needs_host && route->host.len) {
        reader_mistake(r, SECTION_ROUTES, i, "host", "is only for smarthost and lmtp");
    } else if (needs_host && route->host.len == 0) {
        reader_mistake(r, SECTION_ROUTES, i, "host", "is missing: %s",
                       route->via == ROUTE_LMTP ? "lmtp needs HOST:PORT or unix:PATH"
                                                : "a smarthost needs HOST:PORT, as in relay.example.org:587");
    } else if (is_socket && route->via != ROUTE_LMTP) {
        reader_mistake(r, SECTION_ROUTES, i, "host", "unix:PATH is only for lmtp");
    } else if (is_socket) {
        enum { SOCKET_PATH_MAX = 107 }; /* sun_path, unix(7) */
        slice path = slice_tail(route->host, 5);
        if (path.len == 0 || path.ptr[0] != '/' || path.len > SOCKET_PATH_MAX)
            reader_mistake(r, SECTION_ROUTES, i, "host", "expected unix: and an absolute path of at most 107 octets");
    } else if (needs_host && !host_port_is_valid(route->host, &why)) {
        slice shown = quoted(r, route->host);
        reader_mistake(r, SECTION_ROUTES, i, "host", "expected HOST:PORT, found " SLICE_FMT ": " SLICE_FMT,
                       SLICE_ARG(shown), SLICE_ARG(text_slice(&why)));
    }
    text_free(&why);
}

static void check_route_security(reader *r, size_t i)
{
    const struct config_route *route = &r->config->routes[i];
    bool signs_in = route->username.len || route->password.len;
    if (signs_in && route->via != ROUTE_SMARTHOST)
        reader_mistake(r, SECTION_ROUTES, i, route->username.len ? "username" : "password", "is only for smarthost");
    else if (route->username.len && !route->password.len)
        reader_mistake(r, SECTION_ROUTES, i, "password", "is missing: there is a username");
    else if (route->password.len && !route->username.len)
        reader_mistake(r, SECTION_ROUTES, i, "username", "is missing: there is a password");
    else if (signs_in && (route->tls == TLS_NONE || route->tls == TLS_OPPORTUNISTIC))
        reader_mistake(r, SECTION_ROUTES, i, "tls",
                       "a password is never sent without TLS: set tls to verified, implicit or required");
    if (route->ca_file.len && route->tls != TLS_VERIFIED && route->tls != TLS_IMPLICIT)
        reader_mistake(r, SECTION_ROUTES, i, "ca_file",
                       "has no effect: only tls verified and implicit check certificates");
    else if (route->ca_pem.len && !has_block(route->ca_pem, "CERTIFICATE"))
        reader_mistake(r, SECTION_ROUTES, i, "ca_file", "no certificate (-----BEGIN CERTIFICATE-----) is in this file");
}

static bool pattern_is_valid(slice pattern, struct text *why)
{
    if (slice_eq(pattern, SLICE("*")))
        return true;
    if (slice_starts_with(pattern, SLICE("*."))) {
        text_add_cstr(why, "is written without the *: .example.org means all below it");
        return false;
    }
    if (slice_find_byte(pattern, '@') != SLICE_NOT_FOUND) {
        text_add_cstr(why, "is an address; routes go by domains");
        return false;
    }
    if (pattern.len && pattern.ptr[0] == '[' && slice_ends_with(pattern, SLICE("]")))
        return true; /* an address literal, RFC 5321 §4.1.3 */
    return host_name_is_valid(slice_tail(pattern, slice_starts_with(pattern, SLICE(".")) ? 1 : 0), why);
}

static void check_route_domains(reader *r, size_t i)
{
    struct config_route *route = &r->config->routes[i];
    struct text why = { 0 };
    for (size_t d = 0; d < route->domains.count; d++) {
        slice *pattern = &route->domains.items[d], shown = quoted(r, *pattern);
        text_clear(&why);
        if (!pattern_is_valid(*pattern, &why)) {
            reader_mistake(r, SECTION_ROUTES, i, "domains", SLICE_FMT " " SLICE_FMT, SLICE_ARG(shown),
                           SLICE_ARG(text_slice(&why)));
            continue;
        }
        *pattern = arena_copy_lower(&r->config->memory, *pattern);
        const struct config_route *earlier = map_get(&r->config->route_index, *pattern);
        if (!earlier) {
            map_set(&r->config->route_index, *pattern, route);
            continue;
        }
        slice place = reader_place(r, SECTION_ROUTES, (size_t)(earlier - r->config->routes), "domains");
        reader_mistake(r, SECTION_ROUTES, i, "domains",
                       SLICE_FMT " has no effect here: a route for it stands at " SLICE_FMT, SLICE_ARG(shown),
                       SLICE_ARG(place));
    }
    text_free(&why);
}

static void check_routes(reader *r)
{
    for (size_t i = 0; i < r->config->route_count; i++) {
        struct config_route *route = &r->config->routes[i];
        check_route_domains(r, i);
        check_route_host(r, i);
        check_route_security(r, i);
        if (route->via == ROUTE_CAPTURE || route->mailbox.len)
            (void)check_mailbox(r, &route->mailbox, SECTION_ROUTES, i, "mailbox");
    }
}

static void check_source(reader *r, slice source, bool is_v6, const char *option)
{
    struct address address;
    if (source.len && (!address_parse(source, &address) || address_is_v6(&address) != is_v6))
        reader_mistake(r, SECTION_DELIVERY, 0, option, "expected an %s address of this machine",
                       is_v6 ? "IPv6" : "IPv4");
}

static void check_numbers(reader *r)
{
    const struct config *config = r->config;
    struct text shown = { 0 };
    if (config->retry.first > config->retry.longest) {
        text_add_duration(&shown, config->retry.longest);
        reader_mistake(r, SECTION_RETRY, 0, "first", "the first wait is longer than retry.longest (%s)",
                       text_cstr(&shown));
    }
    if (config->spool.large_message > config->spool.segment_size / 2)
        reader_mistake(r, SECTION_SPOOL, 0, "large_message", "is larger than half of spool.segment_size");
    struct address server;
    if (config->dns.server.len && (!address_parse_with_port(config->dns.server, &server) || address_port(&server) == 0))
        reader_mistake(r, SECTION_DNS, 0, "server", "expected ADDR:PORT such as 192.0.2.53:53");
    check_source(r, config->delivery.source_v4, false, "source_v4");
    check_source(r, config->delivery.source_v6, true, "source_v6");
    text_free(&shown);
}

void config_check(struct reader *r)
{
    struct map hosted = { 0 };
    check_listeners(r);
    check_tls(r);
    check_domains(r, &hosted);
    check_aliases(r, &hosted);
    check_accounts(r);
    check_routes(r);
    check_numbers(r);
    check_server(r);
    map_free(&hosted);
}
