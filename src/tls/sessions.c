#include "base/memory.h"
#include "tls/inside.h"
/*
 * sessions - what a client may resume (RFC 8446 §2.2): the last ticket of each server name, for the whole context. A
 * resumed handshake costs a fraction of a full one, and a relay meets the same servers all day. A session stands for
 * the verification that was done when it was made: the context and the name are the same, so the demands are.
 */
enum { SESSIONS_MAX = 500 };

struct session {
    struct list node; /* the oldest first */
    SSL_SESSION *session;
    slice name;
    char octets[];
};

void tls_sessions_init(struct tls_sessions *sessions)
{
    pthread_mutex_init(&sessions->lock, NULL);
    list_init(&sessions->by_age);
}

static void drop(struct tls_sessions *sessions, struct session *s)
{
    map_remove(&sessions->by_name, s->name);
    list_remove(&s->node);
    SSL_SESSION_free(s->session);
    memory_free(s);
}

void tls_sessions_free(struct tls_sessions *sessions)
{
    struct list *first;
    while ((first = list_first(&sessions->by_age)))
        drop(sessions, LIST_ITEM(first, struct session, node));
    map_free(&sessions->by_name);
    pthread_mutex_destroy(&sessions->lock);
}

void tls_sessions_put(struct tls_sessions *sessions, slice name, SSL_SESSION *session)
{
    struct session *s = memory_new(sizeof *s + name.len);
    if (name.len)
        memcpy(s->octets, name.ptr, name.len);
    s->name = slice_from(s->octets, name.len);
    s->session = session;
    pthread_mutex_lock(&sessions->lock);
    struct session *old = map_get(&sessions->by_name, name);
    if (!old && sessions->by_name.count == SESSIONS_MAX)
        old = LIST_ITEM(list_first(&sessions->by_age), struct session, node);
    if (old)
        drop(sessions, old);
    map_set(&sessions->by_name, s->name, s);
    list_append(&sessions->by_age, &s->node);
    pthread_mutex_unlock(&sessions->lock);
}

SSL_SESSION *tls_sessions_take(struct tls_sessions *sessions, slice name)
{
    SSL_SESSION *session = NULL;
    pthread_mutex_lock(&sessions->lock);
    struct session *s = map_get(&sessions->by_name, name);
    if (s) {
        session = s->session;
        SSL_SESSION_up_ref(session);
        drop(sessions, s);
    }
    pthread_mutex_unlock(&sessions->lock);
    return session;
}
