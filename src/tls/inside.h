#pragma once
#include "base/list.h"
#include "base/map.h"
#include "base/text.h"
#include "tls/tls.h"
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
/* inside - what the files of tls/ share. */
struct tls_sessions {
    pthread_mutex_t lock; /* several loops share a context */
    struct map by_name;
    struct list by_age;
};
void tls_sessions_init(struct tls_sessions *);
void tls_sessions_free(struct tls_sessions *);
void tls_sessions_put(struct tls_sessions *, slice name, SSL_SESSION *); /* takes it */
/* The caller owns it; NULL: none. A ticket is used once, so that nobody can link our connections (RFC 8446 §C.4). */
SSL_SESSION *tls_sessions_take(struct tls_sessions *, slice name);

struct tls_context {
    atomic_uint holders;
    SSL_CTX *ssl;
    struct tls_sessions sessions; /* client only */
    bool is_client, verifies;
};

/* "WHAT: reason" for people, from OpenSSL's queue of errors, which is emptied. */
void tls_add_error(struct text *, const char *what);
/* Why a handshake or a record failed, NUL-terminated. */
void tls_describe_failure(const SSL *, slice server_name, char *to, size_t room);
/* The certificates of a PEM, in order, each given to `take` (which owns it then); false at the first that is not taken.
 * The number in *count. What is not a certificate is skipped. */
bool tls_each_certificate(slice pem, bool (*take)(void *context, X509 *), void *context, size_t *count);
/* Of filter.c: keeps a ticket that came; what SSL_CTX_sess_set_new_cb wants. */
int tls_keep_session(SSL *, SSL_SESSION *);
/* For OpenSSL in place of its own, which would ask on the terminal. */
int tls_no_password(char *to, int room, int writing, void *context);
