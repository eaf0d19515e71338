#pragma once
#include "base/text.h"
#include "tls/tls.h"
#include <openssl/ssl.h>
#include <stdatomic.h>
/* inside - what the files of tls/ share. */
struct tls_context {
    atomic_uint holders;
    SSL_CTX *ssl;
    bool is_client, verifies;
};

/* "WHAT: reason" for people, from OpenSSL's queue of errors, which is emptied. */
void tls_add_error(struct text *, const char *what);
/* Why a handshake or a record failed, NUL-terminated. */
void tls_describe_failure(const SSL *, slice server_name, char *to, size_t room);
/* The certificates of a PEM, in order, each given to `take` (which owns it then); false at the first that is not taken.
 * The number in *count. What is not a certificate is skipped. */
bool tls_each_certificate(slice pem, bool (*take)(void *context, X509 *), void *context, size_t *count);
/* For OpenSSL in place of its own, which would ask on the terminal. */
int tls_no_password(char *to, int room, int writing, void *context);
