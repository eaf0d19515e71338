#include "base/clock.h"
#include "base/memory.h"
#include "dns/inside.h"
#include "io/poll.h"

#define PRESET_TIMEOUT_MS SECONDS(20)

/* queries ------------------------------------------------------------------------------------------------------- */

static void free_query(struct query *q)
{
    if (q->result)
        ub_resolve_free(q->result);
    memory_free(q);
}

/* On the loop that asked. */
static void deliver(void *context)
{
    struct query *q = context;
    if (q->answered)
        q->answered(q->context, q);
    free_query(q);
}

static void take_from_running(struct query *q)
{
    pthread_mutex_lock(&q->dns->lock);
    list_remove(&q->node);
    pthread_mutex_unlock(&q->dns->lock);
}

static void on_result(void *context, int error, struct ub_result *result);

static void give_to_library(struct query *q)
{
    struct dns *dns = q->dns;
    char absolute[sizeof q->name.text + 1]; /* with the last dot: no search domains */
    memcpy(absolute, q->name.text, q->name.len);
    memcpy(absolute + q->name.len, ".", 2);
    pthread_mutex_lock(&dns->lock);
    list_append(&dns->running, &q->node);
    q->asked = dns->context;
    pthread_mutex_unlock(&dns->lock);
    int error = ub_resolve_async(q->asked, absolute, q->type, CLASS_IN, q, on_result, NULL);
    if (error) {
        take_from_running(q);
        q->error = error;
        loop_post(q->loop, deliver, q);
    }
}

struct query *query_start(struct dns *dns, struct loop *loop, const struct name *name, int type,
                          query_answered *answered, void *context)
{
    struct query *q = MEMORY_NEW(struct query);
    q->dns = dns;
    q->loop = loop;
    q->name = *name;
    q->type = type;
    q->answered = answered;
    q->context = context;
    give_to_library(q);
    return q;
}

void query_forget(struct query *q)
{
    if (q)
        q->answered = NULL;
}

/* a forwarder that cannot do DNSSEC ----------------------------------------------------------------------------- */

static bool open_context(struct dns *dns, struct ub_ctx *context, size_t which);

static void ask_again(struct query *q)
{
    ub_resolve_free(q->result);
    q->result = NULL;
    give_to_library(q);
}

static void take_over(struct dns *dns)
{
    struct text error = { 0 };
    struct dns_setup setup = dns->setup;
    setup.has_anchor = false;
    dns->plain = dns_configure(&setup, &error);
    text_free(&error);
    /* else answers stay bogus, and say so: mail waits rather than goes astray */
    if (!dns->plain || !open_context(dns, dns->plain, 1))
        return;
    dns->root = ROOT_UNPROVABLE;
    pthread_mutex_lock(&dns->lock);
    dns->context = dns->plain;
    pthread_mutex_unlock(&dns->lock);
}

static void on_root(void *context, int error, struct ub_result *result)
{
    struct dns *dns = context;
    dns->root = ROOT_UNKNOWN;
    if (!error && result->secure)
        dns->root = ROOT_PROVEN;
    else if (!error && (result->bogus || result->rcode == RCODE_NOERROR))
        take_over(dns);
    if (result)
        ub_resolve_free(result);
    struct list *node;
    while ((node = list_take_first(&dns->suspects))) {
        struct query *q = LIST_ITEM(node, struct query, node);
        if (dns->root == ROOT_UNPROVABLE)
            ask_again(q);
        else
            loop_post(q->loop, deliver, q);
    }
}

static bool may_be_the_forwarder(const struct query *q)
{
    const struct dns *dns = q->dns;
    return q->result && q->result->bogus && dns->root != ROOT_PROVEN && dns->setup.server_count &&
           dns->setup.has_anchor && q->asked == dns->first;
}

static void suspect(struct query *q)
{
    struct dns *dns = q->dns;
    if (dns->root == ROOT_UNPROVABLE) { /* asked before the change */
        ask_again(q);
        return;
    }
    list_append(&dns->suspects, &q->node);
    if (dns->root == ROOT_ASKED)
        return;
    dns->root = ROOT_ASKED;
    int error = ub_resolve_async(dns->first, ".", TYPE_DNSKEY, CLASS_IN, dns, on_root, NULL);
    if (error)
        on_root(dns, error, NULL);
}

/* On the owning loop, from within ub_process. */
static void on_result(void *context, int error, struct ub_result *result)
{
    struct query *q = context;
    take_from_running(q);
    q->error = error;
    q->result = result;
    if (result && result->secure && q->dns->root == ROOT_UNKNOWN)
        q->dns->root = ROOT_PROVEN;
    if (may_be_the_forwarder(q))
        suspect(q);
    else
        loop_post(q->loop, deliver, q);
}

/* the resolver -------------------------------------------------------------------------------------------------- */

static void on_ready(void *context, int ready)
{
    if (ready & POLL_READ)
        (void)ub_process(context); /* an error of the pipe would show itself in each question's timeout */
}

static bool open_context(struct dns *dns, struct ub_ctx *context, size_t which)
{
    dns->polls[which] = poll_new(dns->loop, ub_fd(context), POLL_READ, on_ready, context);
    return dns->polls[which] != NULL;
}

struct dns *dns_open(struct loop *loop, const struct dns_setup *setup, unsigned timeout_ms, struct text *error)
{
    struct ub_ctx *context = dns_configure(setup, error);
    if (!context)
        return NULL;
    struct dns *dns = MEMORY_NEW(struct dns);
    dns->loop = loop;
    dns->setup = *setup;
    dns->timeout_ms = timeout_ms ? timeout_ms : (unsigned)PRESET_TIMEOUT_MS;
    dns->first = dns->context = context;
    pthread_mutex_init(&dns->lock, NULL);
    list_init(&dns->running);
    list_init(&dns->suspects);
    if (!open_context(dns, context, 0)) {
        text_add_cstr(error, "DNS resolver: its descriptor cannot be watched");
        dns_free(dns);
        return NULL;
    }
    return dns;
}

struct dns *dns_new(struct loop *loop, const struct dns_params *params, struct text *error)
{
    struct dns_setup setup;
    return dns_setup_from(params, &setup, error) ? dns_open(loop, &setup, params->timeout_ms, error) : NULL;
}

bool dns_validates(const struct dns *dns) { return dns->root == ROOT_PROVEN; }

static void free_all(struct list *queries)
{
    struct list *node;
    while ((node = list_take_first(queries)))
        free_query(LIST_ITEM(node, struct query, node));
}

void dns_free(struct dns *dns)
{
    if (!dns)
        return;
    for (size_t i = 0; i < COUNT(dns->polls); i++)
        poll_free(dns->polls[i]);
    /* ends the threads: no callback comes any more */
    ub_ctx_delete(dns->first);
    if (dns->plain)
        ub_ctx_delete(dns->plain);
    free_all(&dns->running);
    free_all(&dns->suspects);
    pthread_mutex_destroy(&dns->lock);
    memory_free(dns);
}
