#pragma once
#include "io/stream.h"
/*
 * tls - TLS 1.2 and 1.3 over io/ streams (RFC 8446, RFC 9325). The only folder that includes <openssl/ssl.h>.
 *
 * Threads:  a context is shared by all loops and reference counted; a stream's filter belongs to its loop.
 * Memory:   buffers of idle connections are released (SSL_MODE_RELEASE_BUFFERS).
 */
struct tls_context;
struct tls_server_params {
    slice certificate_pem, key_pem; /* chain; key may stand in certificate_pem (then key_pem is empty) */
};
/* NULL and *error for people ("the key does not belong to the certificate") on failure. */
MUST_CHECK struct tls_context *tls_server_new(const struct tls_server_params *, struct text *error);
struct tls_client_params {
    bool verify;  /* check chain and name; else encrypted only (opportunistic, RFC 7435) */
    slice ca_pem; /* empty: the system's authorities */
};
MUST_CHECK struct tls_context *tls_client_new(const struct tls_client_params *, struct text *error);
struct tls_context *tls_context_hold(struct tls_context *);
void tls_context_release(struct tls_context *);

/* A filter for stream_secure. `server_name`: client only: SNI and the name (or address) the certificate must carry. */
struct stream_filter *tls_filter_new(struct tls_context *, slice server_name);
struct tls_info {
    char version[16], cipher[64]; /* "TLSv1.3", "TLS_AES_256_GCM_SHA384" */
    bool verified, resumed;
    unsigned bits;
};
/* After on_secured reported IO_OK; false for a plain stream. */
bool tls_get_info(const struct stream *, struct tls_info *);

/* A self-signed certificate (ECDSA P-256, 10 years) for `hostname`, with its key, as PEM. */
MUST_CHECK bool tls_make_self_signed(slice hostname, struct text *certificate_pem, struct text *key_pem,
                                     struct text *error);
/* Days until the first certificate of the PEM ends (negative: ended). False: not readable. */
MUST_CHECK bool tls_certificate_days_left(slice certificate_pem, int64_t *days);
