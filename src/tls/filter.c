#include "base/address.h"
#include "base/memory.h"
#include "tls/inside.h"
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
/*
 * filter - one TLS connection. OpenSSL reads from the slice that just came and writes straight into the stream's
 * output: no buffers in between.
 */
enum {
    HANDSHAKE_OCTETS_MAX = 128 * 1024, /* what a peer may send before the handshake is done: long chains fit */
    ANSWERS_OCTETS_MAX = 64 * 1024,    /* what a peer may make us answer by itself (KeyUpdate, RFC 8446 §4.6.3): one
                                          that never reads must not fill our memory */
    RECORD_PLAIN_MAX = 16 * 1024,
};

struct tls_filter {
    struct stream_filter filter;
    struct tls_context *context;
    SSL *ssl;
    slice input; /* came from the network, not yet read by OpenSSL */
    char *server_name;
    size_t handshake_octets, answer_octets;
    bool is_ready, is_reading, has_failed;
    char error[192];
};

static const struct stream_filter_functions functions;
static struct tls_filter *tls_of(struct stream_filter *filter)
{
    return CONTAINER_OF(filter, struct tls_filter, filter);
}

/* the octets ---------------------------------------------------------------------------------------------------- */

static int bio_write(BIO *bio, const char *octets, int count)
{
    struct tls_filter *f = BIO_get_data(bio);
    if (f->is_reading && f->is_ready) {
        f->answer_octets += (size_t)count;
        if (f->answer_octets > ANSWERS_OCTETS_MAX)
            return -1;
    }
    filter_send(&f->filter, slice_from(octets, (size_t)count));
    return count;
}

static int bio_read(BIO *bio, char *to, int room)
{
    struct tls_filter *f = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (f->input.len == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t count = size_min(f->input.len, (size_t)room);
    memcpy(to, f->input.ptr, count);
    f->input = slice_tail(f->input, count);
    return (int)count;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *stream_method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;
static void make_method(void)
{
    stream_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
    if (!stream_method || !BIO_meth_set_write(stream_method, bio_write) ||
        !BIO_meth_set_read(stream_method, bio_read) || !BIO_meth_set_ctrl(stream_method, bio_control)) {
        BIO_meth_free(stream_method);
        stream_method = NULL;
    }
}

/* the connection ------------------------------------------------------------------------------------------------ */

static enum io_result fail(struct tls_filter *f)
{
    if (!f->has_failed && !f->error[0])
        tls_describe_failure(f->ssl, slice_from_cstr(f->server_name), f->error, sizeof f->error);
    f->has_failed = true;
    return IO_TLS;
}

static enum io_result fail_for(struct tls_filter *f, const char *why)
{
    if (!f->error[0])
        snprintf(f->error, sizeof f->error, "%s", why);
    return fail(f);
}

int tls_keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls_filter *f = SSL_get_app_data(ssl);
    if (!f->server_name[0])
        return 0;
    tls_sessions_put(&f->context->sessions, slice_from_cstr(f->server_name), session);
    return 1; /* taken */
}

/* TLS 1.2 resumes without a new ticket: the old one goes on. */
static void keep_resumed(struct tls_filter *f)
{
    if (!f->context->is_client || !SSL_session_reused(f->ssl) || SSL_version(f->ssl) >= TLS1_3_VERSION)
        return;
    SSL_SESSION *session = SSL_get1_session(f->ssl);
    if (!tls_keep_session(f->ssl, session))
        SSL_SESSION_free(session);
}

static void offer_session(struct tls_filter *f)
{
    SSL_SESSION *session = tls_sessions_take(&f->context->sessions, slice_from_cstr(f->server_name));
    if (!session)
        return;
    (void)SSL_set_session(f->ssl, session);
    SSL_SESSION_free(session);
}

/* IO_OK also when more octets are needed. */
static enum io_result shake_hands(struct tls_filter *f)
{
    ERR_clear_error();
    int result = SSL_do_handshake(f->ssl);
    if (result == 1) {
        f->is_ready = true;
        keep_resumed(f);
        return IO_OK;
    }
    return SSL_get_error(f->ssl, result) == SSL_ERROR_WANT_READ ? IO_OK : fail(f);
}

static enum io_result start(struct stream_filter *filter)
{
    struct tls_filter *f = tls_of(filter);
    if (!f->ssl)
        return fail_for(f, "OpenSSL does not work or has no memory");
    if (!f->context->is_client)
        return IO_OK;
    return f->error[0] ? fail(f) : shake_hands(f);
}

static enum io_result read_all(struct tls_filter *f)
{
    char plain[RECORD_PLAIN_MAX];
    for (;;) {
        ERR_clear_error();
        int count = SSL_read(f->ssl, plain, sizeof plain);
        if (count > 0) {
            /* whatever the owner does in there, the octets that came are read to their end: they are few */
            filter_deliver(&f->filter, slice_from(plain, (size_t)count));
            continue;
        }
        switch (SSL_get_error(f->ssl, count)) {
        case SSL_ERROR_WANT_READ:
            return IO_OK;
        case SSL_ERROR_ZERO_RETURN:
            return IO_END;
        default:
            return f->answer_octets > ANSWERS_OCTETS_MAX ? fail_for(f, "the peer asks for too many new keys") : fail(f);
        }
    }
}

static enum io_result network_came(struct tls_filter *f)
{
    if (!f->is_ready) {
        f->handshake_octets += f->input.len;
        if (f->handshake_octets > HANDSHAKE_OCTETS_MAX)
            return fail_for(f, "the handshake is too long");
        enum io_result result = shake_hands(f);
        if (result != IO_OK || !f->is_ready)
            return result;
        filter_handshake_done(&f->filter, IO_OK);
    }
    return read_all(f);
}

static enum io_result on_network(struct stream_filter *filter, slice octets)
{
    struct tls_filter *f = tls_of(filter);
    if (f->has_failed)
        return IO_TLS;
    f->input = octets;
    f->is_reading = true;
    enum io_result result = network_came(f);
    f->is_reading = false;
    f->input = (slice){ 0 };
    return result;
}

static enum io_result on_plain(struct stream_filter *filter, slice octets)
{
    struct tls_filter *f = tls_of(filter);
    bool was_reading = f->is_reading; /* the owner may write from within on_bytes */
    if (f->has_failed)
        return IO_TLS;
    f->is_reading = false;
    ERR_clear_error();
    int written = SSL_write(f->ssl, octets.ptr, (int)octets.len);
    f->is_reading = was_reading;
    return written == (int)octets.len ? IO_OK : fail(f);
}

static void say_goodbye(struct stream_filter *filter)
{
    struct tls_filter *f = tls_of(filter);
    if (f->is_ready && !f->has_failed)
        (void)SSL_shutdown(f->ssl); /* the peer's own close_notify is not waited for (RFC 8446 §6.1) */
    ERR_clear_error();
}

static void free_filter(struct stream_filter *filter)
{
    struct tls_filter *f = tls_of(filter);
    SSL_free(f->ssl);
    tls_context_release(f->context);
    memory_free(f->server_name);
    memory_free(f);
}

static const char *error_text(const struct stream_filter *filter)
{
    return CONTAINER_OF((struct stream_filter *)filter, struct tls_filter, filter)->error;
}

static const struct stream_filter_functions functions = {
    .on_network = on_network,
    .on_plain = on_plain,
    .start = start,
    .shutdown = say_goodbye,
    .free = free_filter,
    .error_text = error_text,
};

/* SNI takes names only (RFC 6066 §3); the certificate is checked for a name or an address (RFC 6125). */
static bool set_server_name(struct tls_filter *f)
{
    struct address address;
    bool is_address = address_parse(slice_from_cstr(f->server_name), &address);
    if (!is_address && f->server_name[0] && SSL_set_tlsext_host_name(f->ssl, f->server_name) != 1)
        return false;
    if (!f->context->verifies)
        return true;
    X509_VERIFY_PARAM *param = SSL_get0_param(f->ssl);
    if (is_address)
        return X509_VERIFY_PARAM_set1_ip_asc(param, f->server_name) == 1;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    /* an empty name would be "any name" to OpenSSL */
    return f->server_name[0] && X509_VERIFY_PARAM_set1_host(param, f->server_name, 0) == 1;
}

static void make_connection(struct tls_filter *f)
{
    pthread_once(&method_once, make_method);
    BIO *bio = stream_method ? BIO_new(stream_method) : NULL;
    f->ssl = bio ? SSL_new(f->context->ssl) : NULL;
    if (!f->ssl) {
        BIO_free(bio);
        return;
    }
    BIO_set_data(bio, f);
    BIO_set_init(bio, 1);
    SSL_set_bio(f->ssl, bio, bio);
    SSL_set_app_data(f->ssl, f);
    if (!f->context->is_client)
        SSL_set_accept_state(f->ssl);
    else
        SSL_set_connect_state(f->ssl);
    if (f->context->is_client && !set_server_name(f))
        snprintf(f->error, sizeof f->error, "the peer has no name that a certificate could carry");
    if (f->context->is_client && f->server_name[0])
        offer_session(f);
    ERR_clear_error();
}

struct stream_filter *tls_filter_new(struct tls_context *context, slice server_name)
{
    struct tls_filter *f = MEMORY_NEW(struct tls_filter);
    if (slice_ends_with(server_name, SLICE(".")))
        server_name.len--;
    if (slice_find_byte(server_name, 0) != SLICE_NOT_FOUND)
        server_name = (slice){ 0 };
    f->filter.functions = &functions;
    f->context = tls_context_hold(context);
    f->server_name = memory_copy_cstr(server_name.ptr, server_name.len);
    make_connection(f);
    return &f->filter;
}

bool tls_get_info(const struct stream *stream, struct tls_info *info)
{
    struct stream_filter *filter = stream_get_filter(stream);
    if (!filter || filter->functions != &functions || !tls_of(filter)->is_ready)
        return false;
    const struct tls_filter *f = tls_of(filter);
    *info = (struct tls_info){
        .verified = f->context->verifies && SSL_get_verify_result(f->ssl) == X509_V_OK,
        .resumed = SSL_session_reused(f->ssl) == 1,
        .bits = (unsigned)SSL_get_cipher_bits(f->ssl, NULL),
    };
    snprintf(info->version, sizeof info->version, "%s", SSL_get_version(f->ssl));
    snprintf(info->cipher, sizeof info->cipher, "%s", SSL_get_cipher_name(f->ssl));
    return true;
}
