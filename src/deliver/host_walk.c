#include "deliver/host_walk.h"
#include "deliver/verdict.h"

void host_walk_start(struct host_walk *walk, struct connection *c, loop_function *ready, void *context)
{
    *walk = (struct host_walk){ .connection = c, .ready = ready, .context = context };
}

void host_walk_cancel(struct host_walk *walk)
{
    if (walk->question)
        dns_cancel(walk->question);
    walk->question = NULL;
}

static slice words(struct host_walk *walk, const char *before, slice name, const char *after)
{
    return arena_format(&walk->connection->memory, "%s" SLICE_FMT "%s", before, SLICE_ARG(name), after);
}

/* A failure that may pass weighs more than one that does not: as long as one of several hosts may come back, we wait.
 */
static void note_failure(struct host_walk *walk, struct outcome failure)
{
    if (walk->failure.action != ACTION_DELAYED)
        walk->failure = failure;
}

/* --- addresses written out --- */

/* "192.0.2.1", "2001:db8::1", and in brackets as in RFC 5321 §4.1.3 "[IPv6:2001:db8::1]". */
static bool parse_host_address(slice host, struct address *a)
{
    if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = slice_from(host.ptr + 1, host.len - 2);
    if (slice_starts_with_nocase(host, SLICE("IPv6:")))
        host = slice_tail(host, 5);
    return address_parse(host, a);
}

static bool add_address(struct host_walk *walk, slice name, const struct address *address)
{
    if (walk->found_count == WALK_ADDRESSES_MAX)
        return false;
    struct walk_host *found = &walk->found[walk->found_count++];
    *found = (struct walk_host){ .name = name, .address = *address };
    address_set_port(&found->address, walk->connection->destination.port);
    return true;
}

static void cut_at_ourselves(struct host_walk *walk, size_t group_start);

/* True where no name server is needed. */
static bool take_literal(struct host_walk *walk)
{
    const struct destination *to = &walk->connection->destination;
    struct arena *memory = &walk->connection->memory;
    slice unix_prefix = SLICE("unix:");
    struct address address;
    if (slice_starts_with(to->host, unix_prefix)) {
        walk->found[0] = (struct walk_host){ .name = to->host,
                                             .unix_path = arena_cstr(memory, slice_tail(to->host, unix_prefix.len)) };
        walk->found_count = 1;
        return true;
    }
    if (!parse_host_address(to->host, &address))
        return false;
    struct text name = { 0 };
    text_add_address(&name, &address);
    add_address(walk, arena_copy(memory, text_slice(&name)), &address);
    text_free(&name);
    if (to->kind == DESTINATION_MX && deliverer_is_own_address(walk->connection->deliverer, &walk->found[0].address))
        cut_at_ourselves(walk, 0);
    return true;
}

/* --- our own mail exchangers --- */

static void cut_at_ourselves(struct host_walk *walk, size_t group_start)
{
    struct deliverer *d = walk->connection->deliverer;
    slice domain = walk->connection->destination.name;
    walk->host_count = group_start;
    walk->next_host = walk->group_end = group_start;
    walk->found_count = walk->next_found = 0;
    if (group_start > 0)
        return;
    slice text = arena_format(&walk->connection->memory,
                              "mail loops back to us: the mail exchanger of " SLICE_FMT " is this server (" SLICE_FMT
                              "), which does not have " SLICE_FMT " among its own domains",
                              SLICE_ARG(domain), SLICE_ARG(text_slice(&d->hostname)), SLICE_ARG(domain));
    walk->failure = verdict_failed(STAGE_DNS, 4, 6, text);
}

static bool group_has_our_name(const struct host_walk *walk, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (deliverer_is_own_name(walk->connection->deliverer, walk->hosts[i].host))
            return true;
    return false;
}

static size_t find_group_end(const struct host_walk *walk, size_t from)
{
    size_t end = from;
    while (end < walk->host_count && walk->hosts[end].preference == walk->hosts[from].preference)
        end++;
    return end;
}

static void start_group(struct host_walk *walk)
{
    walk->group_end = find_group_end(walk, walk->next_host);
    walk->found_count = walk->next_found = 0;
    if (walk->connection->destination.kind == DESTINATION_MX &&
        group_has_our_name(walk, walk->next_host, walk->group_end))
        cut_at_ourselves(walk, walk->next_host);
}

/* --- answers of the name server --- */

static bool dns_is_transient(enum dns_result result) { return result == DNS_TEMPORARY || result == DNS_BOGUS; }

static void on_addresses(void *context, const struct dns_answer *answer)
{
    struct host_walk *walk = context;
    struct connection *c = walk->connection;
    walk->question = NULL;
    slice name = walk->hosts[walk->next_host].host;
    size_t group_start = walk->next_host;
    while (group_start > 0 && walk->hosts[group_start - 1].preference == walk->hosts[group_start].preference)
        group_start--;
    walk->next_host++;
    bool is_own = false;
    for (size_t i = 0; i < answer->address_count; i++) {
        struct address a = answer->addresses[i];
        address_set_port(&a, c->destination.port);
        is_own = is_own || (c->destination.kind == DESTINATION_MX && deliverer_is_own_address(c->deliverer, &a));
        add_address(walk, name, &a);
    }
    if (is_own)
        cut_at_ourselves(walk, group_start);
    else if (dns_is_transient(answer->result))
        note_failure(
            walk, verdict_delayed(STAGE_DNS, 4, 3, words(walk, "the address of ", name, " cannot be looked up now")));
    else if (answer->address_count == 0)
        note_failure(
            walk, verdict_failed(STAGE_DNS, 4, 4, words(walk, "the mail server ", name, " has no address in the DNS")));
    walk->ready(walk->context);
}

static void take_mx(struct host_walk *walk, const struct dns_answer *answer)
{
    walk->host_count = size_min(answer->mx_count, WALK_HOSTS_MAX);
    for (size_t i = 0; i < walk->host_count; i++) {
        walk->hosts[i].preference = answer->mx[i].preference;
        walk->hosts[i].host = arena_copy(&walk->connection->memory, answer->mx[i].host);
    }
}

static void refuse_domain(struct host_walk *walk, const struct dns_answer *answer)
{
    slice domain = walk->connection->destination.host;
    struct outcome failure;
    if (answer->mx_is_null) /* RFC 7505 §4.1 */
        failure = verdict_failed(STAGE_DNS, 1, 10,
                                 words(walk, "the domain ", domain, " says that it takes no mail (null MX)"));
    else if (answer->result == DNS_NO_NAME)
        failure = verdict_failed(STAGE_DNS, 1, 2, words(walk, "the domain ", domain, " does not exist"));
    else if (answer->result == DNS_BAD_NAME)
        failure = verdict_failed(STAGE_DNS, 1, 2, words(walk, "", domain, " is not a name the DNS can have"));
    else if (answer->result == DNS_NO_DATA || answer->result == DNS_OK)
        failure = verdict_failed(
            STAGE_DNS, 4, 4, words(walk, "the domain ", domain, " has no mail server: neither MX nor address records"));
    else if (answer->text)
        failure = verdict_delayed(STAGE_DNS, 4, 3,
                                  arena_format(&walk->connection->memory,
                                               "the mail servers of " SLICE_FMT " cannot be looked up now: %s",
                                               SLICE_ARG(domain), answer->text));
    else
        failure =
            verdict_delayed(STAGE_DNS, 4, 3, words(walk, "the mail servers of ", domain, " cannot be looked up now"));
    walk->failure = failure;
}

static void on_mx(void *context, const struct dns_answer *answer)
{
    struct host_walk *walk = context;
    walk->question = NULL;
    walk->state = HOSTS_KNOWN;
    if (answer->result == DNS_OK && !answer->mx_is_null && answer->mx_count > 0)
        take_mx(walk, answer);
    else
        refuse_domain(walk, answer);
    if (walk->host_count > 0)
        start_group(walk);
    walk->ready(walk->context);
}

/* --- walking --- */

static enum walk_step ask_hosts(struct host_walk *walk)
{
    struct connection *c = walk->connection;
    struct deliverer *d = c->deliverer;
    walk->state = HOSTS_KNOWN;
    if (take_literal(walk))
        return WALK_HOST; /* or none, if it is our own */
    if (!d->doors.dns) {
        walk->failure = verdict_delayed(STAGE_DNS, 3, 5, SLICE("this server has no name server to ask"));
        return WALK_END;
    }
    if (c->destination.kind == DESTINATION_MX) {
        walk->state = HOSTS_ASKED;
        walk->question = dns_ask_mx(d->doors.dns, d->doors.loop, c->destination.host, on_mx, walk);
        return WALK_WAIT;
    }
    walk->hosts[0] = (struct dns_mx){ .host = c->destination.host };
    walk->host_count = 1;
    start_group(walk);
    return WALK_HOST;
}

enum walk_step host_walk_next(struct host_walk *walk, struct walk_host *host)
{
    struct deliverer *d = walk->connection->deliverer;
    if (walk->question)
        return WALK_WAIT;
    if (walk->state == HOSTS_UNKNOWN) {
        enum walk_step step = ask_hosts(walk);
        if (step != WALK_HOST)
            return step;
    }
    for (;;) {
        if (walk->next_host < walk->group_end) {
            slice name = walk->hosts[walk->next_host].host;
            walk->question = dns_ask_addresses(d->doors.dns, d->doors.loop, name, on_addresses, walk);
            return WALK_WAIT;
        }
        if (walk->next_found < walk->found_count) {
            if (walk->tried++ == WALK_ADDRESSES_MAX)
                return WALK_END;
            *host = walk->found[walk->next_found++];
            return WALK_HOST;
        }
        if (walk->next_host == walk->host_count)
            return WALK_END;
        start_group(walk);
    }
}
