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

/* On the owning loop, from within ub_process. */
static void on_result(void *context, int error, struct ub_result *result)
{
    struct query *q = context;
    take_from_running(q);
    q->error = error;
    q->result = result;
    loop_post(q->loop, deliver, q);
}

struct query *query_start(struct dns *dns, struct loop *loop, const struct name *name, int type,
                          query_answered *answered, void *context)
{
    enum { CLASS_IN = 1 };
    struct query *q = MEMORY_NEW(struct query);
    q->dns = dns;
    q->loop = loop;
    q->type = type;
    q->answered = answered;
    q->context = context;
    pthread_mutex_lock(&dns->lock);
    list_append(&dns->running, &q->node);
    pthread_mutex_unlock(&dns->lock);
    /* with the last dot: no search domains */
    char absolute[sizeof name->text + 1];
    memcpy(absolute, name->text, name->len);
    memcpy(absolute + name->len, ".", 2);
    int error = ub_resolve_async(dns->context, absolute, type, CLASS_IN, q, on_result, NULL);
    if (error) {
        take_from_running(q);
        q->error = error;
        loop_post(loop, deliver, q);
    }
    return q;
}

void query_forget(struct query *q)
{
    if (q)
        q->answered = NULL;
}

/* the resolver -------------------------------------------------------------------------------------------------- */

static void on_ready(void *context, int ready)
{
    struct dns *dns = context;
    if (ready & POLL_READ)
        (void)ub_process(dns->context); /* an error of the pipe would show itself in each question's timeout */
}

struct dns *dns_new(struct loop *loop, const struct dns_params *params, struct text *error)
{
    struct ub_ctx *context = dns_configure(params, error);
    if (!context)
        return NULL;
    struct dns *dns = MEMORY_NEW(struct dns);
    dns->context = context;
    dns->loop = loop;
    dns->timeout_ms = params->timeout_ms ? params->timeout_ms : (unsigned)PRESET_TIMEOUT_MS;
    pthread_mutex_init(&dns->lock, NULL);
    list_init(&dns->running);
    dns->poll = poll_new(loop, ub_fd(context), POLL_READ, on_ready, dns);
    if (!dns->poll) {
        text_add_cstr(error, "DNS resolver: its descriptor cannot be watched");
        dns_free(dns);
        return NULL;
    }
    return dns;
}

void dns_free(struct dns *dns)
{
    if (!dns)
        return;
    poll_free(dns->poll);
    ub_ctx_delete(dns->context); /* ends its thread: no callback comes any more */
    struct list *node;
    while ((node = list_take_first(&dns->running)))
        free_query(LIST_ITEM(node, struct query, node));
    pthread_mutex_destroy(&dns->lock);
    memory_free(dns);
}
