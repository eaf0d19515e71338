#include "base/memory.h"
#include "tls/inside.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <unistd.h>
/*
 * context - what many connections share. Defaults follow RFC 9325: TLS 1.2 and 1.3, forward secrecy and AEAD only, no
 * compression, no renegotiation.
 */
static const char suites[] = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL";
/* A client that would otherwise send in the clear takes what it gets (RFC 7435 §3), the good ones first. */
static const char suites_opportunistic[] =
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES:DHE+AES:RSA+AES:!aNULL:@SECLEVEL=0";
static const char groups[] = "X25519:P-256:P-384";

/* Where distributions keep all authorities in one file: read at once, so that nothing is looked up on disk later, when
 * the process has confined itself. */
static const char *const authority_files[] = { "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                                               "/etc/ssl/cert.pem" };

static struct tls_context *new_context(const SSL_METHOD *method, const char *list)
{
    SSL_CTX *ssl = SSL_CTX_new(method);
    if (!ssl)
        return NULL;
    SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF); /* tickets need none */
    SSL_CTX_set_default_passwd_cb(ssl, tls_no_password);
    if (SSL_CTX_set_cipher_list(ssl, list) != 1 || SSL_CTX_set1_groups_list(ssl, groups) != 1) {
        SSL_CTX_free(ssl);
        return NULL;
    }
    struct tls_context *context = MEMORY_NEW(struct tls_context);
    atomic_store(&context->holders, 1);
    context->ssl = ssl;
    tls_sessions_init(&context->sessions);
    return context;
}

struct tls_context *tls_context_hold(struct tls_context *context)
{
    atomic_fetch_add(&context->holders, 1);
    return context;
}

void tls_context_release(struct tls_context *context)
{
    if (!context || atomic_fetch_sub(&context->holders, 1) != 1)
        return;
    SSL_CTX_free(context->ssl);
    tls_sessions_free(&context->sessions);
    memory_free(context);
}

/* server ------------------------------------------------------------------------------------------------------ */

struct chain {
    SSL_CTX *ssl;
    bool has_leaf;
};

/* The first is the server's own, the others lead to its authority. */
static bool add_to_chain(void *context, X509 *certificate)
{
    struct chain *chain = context;
    if (chain->has_leaf)
        return SSL_CTX_add0_chain_cert(chain->ssl, certificate) == 1;
    chain->has_leaf = SSL_CTX_use_certificate(chain->ssl, certificate) == 1;
    X509_free(certificate);
    return chain->has_leaf;
}

static bool load_chain(SSL_CTX *ssl, slice pem, struct text *error)
{
    struct chain chain = { .ssl = ssl };
    size_t count;
    bool ok = tls_each_certificate(pem, add_to_chain, &chain, &count);
    if (!ok)
        tls_add_error(error, "the certificate cannot be used");
    else if (count == 0)
        text_add_cstr(error, "no certificate found (PEM is expected: -----BEGIN CERTIFICATE-----)");
    return ok && count > 0;
}

static bool load_key(SSL_CTX *ssl, slice pem, struct text *error)
{
    BIO *bio = BIO_new_mem_buf(pem.len ? pem.ptr : "", (int)pem.len);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, tls_no_password, NULL) : NULL;
    BIO_free(bio);
    if (!key) {
        bool has_key = slice_find(pem, SLICE("PRIVATE KEY-----")) != SLICE_NOT_FOUND;
        ERR_clear_error();
        text_add_cstr(error, has_key ? "the private key cannot be read (is it encrypted with a passphrase?)"
                                     : "no private key found (PEM is expected: -----BEGIN PRIVATE KEY-----)");
        return false;
    }
    bool ok = X509_check_private_key(SSL_CTX_get0_certificate(ssl), key) == 1;
    if (!ok) {
        ERR_clear_error();
        text_add_cstr(error, "the key does not belong to the certificate");
    } else if (SSL_CTX_use_PrivateKey(ssl, key) != 1) {
        tls_add_error(error, "the private key cannot be used");
        ok = false;
    }
    EVP_PKEY_free(key);
    return ok;
}

/* A PEM is a text file of some KiB; BIO counts by int. */
static bool has_sane_size(slice pem, struct text *error)
{
    bool ok = pem.len <= 4 * 1024 * 1024;
    if (!ok)
        text_add_cstr(error, "larger than any certificate file (4 MiB)");
    return ok;
}

struct tls_context *tls_server_new(const struct tls_server_params *params, struct text *error)
{
    slice key = slice_is_empty(params->key_pem) ? params->certificate_pem : params->key_pem;
    ERR_clear_error();
    if (!has_sane_size(params->certificate_pem, error) || !has_sane_size(key, error))
        return NULL;
    struct tls_context *context = new_context(TLS_server_method(), suites);
    if (!context) {
        tls_add_error(error, "OpenSSL does not work");
        return NULL;
    }
    static const unsigned char session_context[] = "postrider";
    SSL_CTX_set_session_id_context(context->ssl, session_context, sizeof session_context - 1);
    SSL_CTX_set_num_tickets(context->ssl, 1);
    if (!load_chain(context->ssl, params->certificate_pem, error) || !load_key(context->ssl, key, error)) {
        tls_context_release(context);
        return NULL;
    }
    return context;
}

/* client ------------------------------------------------------------------------------------------------------ */

static bool add_authority(void *context, X509 *certificate)
{
    bool ok = X509_STORE_add_cert(context, certificate) == 1;
    X509_free(certificate);
    return ok;
}

static bool load_given_authorities(SSL_CTX *ssl, slice pem, struct text *error)
{
    size_t count = 0;
    if (!has_sane_size(pem, error))
        return false;
    bool ok = tls_each_certificate(pem, add_authority, SSL_CTX_get_cert_store(ssl), &count);
    if (!ok)
        tls_add_error(error, "an authority's certificate cannot be used");
    else if (count == 0)
        text_add_cstr(error, "no authority's certificate found (PEM is expected: -----BEGIN CERTIFICATE-----)");
    return ok && count > 0;
}

static bool load_system_authorities(SSL_CTX *ssl, struct text *error)
{
    for (size_t i = 0; i < COUNT(authority_files); i++)
        if (access(authority_files[i], R_OK) == 0 && SSL_CTX_load_verify_file(ssl, authority_files[i]) == 1)
            return true;
    ERR_clear_error();
    if (SSL_CTX_set_default_verify_paths(ssl) == 1)
        return true;
    tls_add_error(error, "the system's certificate authorities cannot be read (package ca-certificates)");
    return false;
}

struct tls_context *tls_client_new(const struct tls_client_params *params, struct text *error)
{
    ERR_clear_error();
    struct tls_context *context = new_context(TLS_client_method(), params->verify ? suites : suites_opportunistic);
    if (!context) {
        tls_add_error(error, "OpenSSL does not work");
        return NULL;
    }
    context->is_client = true;
    SSL_CTX_set_session_cache_mode(context->ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(context->ssl, tls_keep_session);
    context->verifies = params->verify;
    SSL_CTX_set_verify(context->ssl, params->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    bool ok = !params->verify ||
              (slice_is_empty(params->ca_pem) ? load_system_authorities(context->ssl, error)
                                              : load_given_authorities(context->ssl, params->ca_pem, error));
    if (ok)
        return context;
    tls_context_release(context);
    return NULL;
}
