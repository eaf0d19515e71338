#include "io/ends_for_test.h"
#include "tls/inside.h"
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

static struct text certificate, key, error;

static int set_up_connection(void **state)
{
    int result = set_up(state);
    connect_both();
    return result;
}

static int tear_down_connection(void **state)
{
    text_free(&error);
    return tear_down(state);
}

static struct tls_context *server_context(void)
{
    const struct tls_server_params params = { text_slice(&certificate), text_slice(&key) };
    struct tls_context *context = tls_server_new(&params, &error);
    if (!context)
        fail_msg("%s", text_cstr(&error));
    return context;
}

static struct tls_context *client_context(bool verify)
{
    const struct tls_client_params params = { verify, text_slice(&certificate) };
    struct tls_context *context = tls_client_new(&params, &error);
    if (!context)
        fail_msg("%s", text_cstr(&error));
    return context;
}

/* The contexts are given back at once: the filters hold them. */
static void secure(struct tls_context *for_client, struct tls_context *for_server, slice name)
{
    stream_secure(client.stream, tls_filter_new(for_client, name));
    stream_secure(server.stream, tls_filter_new(for_server, (slice){ 0 }));
    tls_context_release(for_client);
    tls_context_release(for_server);
    run();
}

static void expect_secured(void)
{
    assert_int_equal(client.why, IO_OK);
    assert_int_equal(server.why, IO_OK);
    assert_string_equal(stream_error_text(client.stream), "");
}

static void test_verified_connection(void **state)
{
    (void)state;
    struct tls_info info;
    assert_false(tls_get_info(client.stream, &info));
    secure(client_context(true), server_context(), SLICE("mx.example.org."));
    expect_secured();
    assert_true(tls_get_info(client.stream, &info));
    assert_string_equal(info.version, "TLSv1.3");
    assert_string_equal(info.cipher, "TLS_AES_256_GCM_SHA384");
    assert_int_equal(info.bits, 256);
    assert_true(info.verified);
    assert_false(info.resumed);
    assert_true(tls_get_info(server.stream, &info));
    assert_false(info.verified); /* no certificate of the client is asked for */
    stream_write(client.stream, SLICE("EHLO a\0b\r\n"));
    run_until_got(&server, 10);
    assert_int_equal(server.got.len, 10);
    assert_memory_equal(server.got.ptr, "EHLO a\0b\r\n", 10);
    stream_close(server.stream);
    run();
    assert_int_equal(client.why, IO_END);
    stream_close(client.stream);
}

static void test_encrypted_only(void **state)
{
    (void)state;
    struct tls_info info;
    secure(client_context(false), server_context(), SLICE("some.other.name"));
    expect_secured();
    assert_true(tls_get_info(client.stream, &info));
    assert_false(info.verified);
}

static void test_tls_1_2(void **state)
{
    (void)state;
    struct tls_info info;
    struct tls_context *old = client_context(true);
    SSL_CTX_set_max_proto_version(old->ssl, TLS1_2_VERSION);
    secure(old, server_context(), SLICE("mx.example.org"));
    expect_secured();
    assert_true(tls_get_info(client.stream, &info));
    assert_string_equal(info.version, "TLSv1.2");
    assert_non_null(strstr(info.cipher, "ECDHE"));
    assert_non_null(strstr(info.cipher, "GCM"));
    stream_write(server.stream, SLICE("220"));
    run_until_got(&client, 3);
    assert_int_equal(client.octets, 3);
}

static void expect_refused(const char *by_client, const char *by_server)
{
    assert_int_equal(client.why, IO_TLS);
    assert_int_equal(server.why, IO_TLS);
    assert_false(client.has_ended);
    if (by_client)
        assert_string_equal(stream_error_text(client.stream), by_client);
    if (by_server)
        assert_string_equal(stream_error_text(server.stream), by_server);
    stream_close(client.stream);
    stream_close(server.stream);
    run_for(5);
}

static void test_wrong_name(void **state)
{
    (void)state;
    /* with TLS 1.3 the server is done before the client has judged it: it hears of it as an end */
    struct tls_context *old = client_context(true);
    SSL_CTX_set_max_proto_version(old->ssl, TLS1_2_VERSION);
    secure(old, server_context(), SLICE("evil.example.org"));
    expect_refused("the certificate is not for the name evil.example.org", "the peer refused our certificate");
}

static void test_wrong_address(void **state)
{
    (void)state;
    struct tls_context *old = client_context(true);
    SSL_CTX_set_max_proto_version(old->ssl, TLS1_2_VERSION);
    secure(old, server_context(), SLICE("192.0.2.1"));
    expect_refused("the certificate is not for the name 192.0.2.1", NULL);
}

static void test_no_name_to_verify(void **state)
{
    (void)state;
    server.was_secured = true;
    secure(client_context(true), server_context(), SLICE(""));
    assert_int_equal(client.why, IO_TLS);
    assert_string_equal(stream_error_text(client.stream), "the peer has no name that a certificate could carry");
    stream_close(client.stream);
}

static void test_address_in_the_certificate(void **state)
{
    (void)state;
    struct text own = { 0 }, own_key = { 0 };
    struct tls_info info;
    assert_true(tls_make_self_signed(SLICE("2001:db8::1"), &own, &own_key, &error));
    const struct tls_server_params params = { text_slice(&own), text_slice(&own_key) };
    const struct tls_client_params client_params = { true, text_slice(&own) };
    secure(tls_client_new(&client_params, &error), tls_server_new(&params, &error), SLICE("2001:DB8:0::1"));
    expect_secured();
    assert_true(tls_get_info(client.stream, &info));
    assert_true(info.verified);
    text_free(&own);
    text_free(&own_key);
}

static void test_unknown_authority(void **state)
{
    (void)state;
    struct text other = { 0 }, other_key = { 0 };
    assert_true(tls_make_self_signed(SLICE("mx.example.org"), &other, &other_key, &error));
    struct tls_context *old = tls_client_new(&(struct tls_client_params){ true, text_slice(&other) }, &error);
    SSL_CTX_set_max_proto_version(old->ssl, TLS1_2_VERSION);
    secure(old, server_context(), SLICE("mx.example.org"));
    expect_refused("the certificate cannot be trusted: self-signed certificate",
                   "the peer does not know the authority behind our certificate");
    text_free(&other);
    text_free(&other_key);
}

static X509 *read_certificate(void)
{
    BIO *bio = BIO_new_mem_buf(certificate.ptr, (int)certificate.len);
    X509 *x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return x509;
}

static void test_expired(void **state)
{
    (void)state;
    int64_t days;
    BIO *bio = BIO_new_mem_buf(key.ptr, (int)key.len), *out = BIO_new(BIO_s_mem());
    EVP_PKEY *own = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    X509 *x509 = read_certificate();
    X509_time_adj_ex(X509_getm_notAfter(x509), 0, -60, NULL);
    assert_true(X509_sign(x509, own, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_bio_X509(out, x509), 1);
    char *pem;
    slice expired = { NULL, (size_t)BIO_get_mem_data(out, &pem) };
    expired.ptr = pem;
    assert_true(tls_certificate_days_left(expired, &days));
    assert_int_equal(days, -1);
    struct tls_context *old = tls_client_new(&(struct tls_client_params){ true, expired }, &error);
    SSL_CTX_set_max_proto_version(old->ssl, TLS1_2_VERSION);
    const struct tls_server_params params = { expired, text_slice(&key) };
    secure(old, tls_server_new(&params, &error), SLICE("mx.example.org"));
    expect_refused("the certificate cannot be trusted: certificate has expired",
                   "the peer says that our certificate has expired");
    X509_free(x509);
    EVP_PKEY_free(own);
    BIO_free(bio);
    BIO_free(out);
}

static void test_old_versions_refused(void **state)
{
    (void)state;
    struct tls_context *old = client_context(false);
    SSL_CTX_set_min_proto_version(old->ssl, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(old->ssl, TLS1_1_VERSION);
    secure(old, server_context(), SLICE("mx.example.org"));
    expect_refused("the peer refused our versions of TLS (1.2 and 1.3)",
                   "the peer offers only versions of TLS older than 1.2");
}

static void test_weak_suites_refused(void **state)
{
    (void)state;
    struct tls_context *old = client_context(false);
    SSL_CTX_set_max_proto_version(old->ssl, TLS1_2_VERSION);
    assert_int_equal(SSL_CTX_set_cipher_list(old->ssl, "ECDHE-ECDSA-AES256-SHA"), 1);
    secure(old, server_context(), SLICE("mx.example.org"));
    expect_refused(NULL, "no cipher suite in common");
}

static void test_peer_without_tls(void **state)
{
    (void)state;
    struct tls_context *context = server_context();
    client.was_secured = true;
    stream_secure(server.stream, tls_filter_new(context, (slice){ 0 }));
    tls_context_release(context);
    stream_write(client.stream, SLICE("EHLO plain.example.org\r\n"));
    run();
    assert_int_equal(server.why, IO_TLS);
    assert_string_equal(stream_error_text(server.stream), "what the peer sent is not TLS");
    stream_close(server.stream);
    run();
    assert_int_equal(client.why, IO_END);
}

static void test_endless_handshake(void **state)
{
    (void)state;
    struct tls_context *context = client_context(false);
    server.was_secured = true;
    stream_secure(client.stream, tls_filter_new(context, SLICE("x")));
    tls_context_release(context);
    /* records of a handshake message that says it is 16 MiB long (RFC 8446 §4, §5.1) */
    static char record[5 + 16384] = "\x16\x03\x03\x40\0\2\xff\xff\xff";
    for (int i = 0; i < 20; i++)
        stream_write(server.stream, slice_from(record, sizeof record));
    run();
    assert_int_equal(client.why, IO_TLS);
    assert_true(strlen(stream_error_text(client.stream)) > 0);
}

static void test_cut_off_in_the_handshake(void **state)
{
    (void)state;
    struct tls_context *context = server_context();
    client.was_secured = true;
    stream_secure(server.stream, tls_filter_new(context, (slice){ 0 }));
    tls_context_release(context);
    stream_write(client.stream, SLICE("\x16\x03\x01\x02\0\1"));
    stream_close(client.stream);
    run();
    assert_int_equal(server.why, IO_END);
    assert_true(server.was_secured);
}

/* After the handshake a forged record ends the connection, and the octets before it were delivered. */
static void test_forged_record(void **state)
{
    (void)state;
    secure(client_context(true), server_context(), SLICE("mx.example.org"));
    stream_write(client.stream, SLICE("good"));
    stream_flush(client.stream);
    filter_send(stream_get_filter(client.stream), SLICE("\x17\x03\x03\0\x13 0123456789abcdefgh"));
    run();
    assert_int_equal(server.why, IO_TLS);
    assert_int_equal(server.octets, 4);
    assert_true(strlen(stream_error_text(server.stream)) > 0);
}

/* A peer that asks for new keys without end, and never reads (RFC 8446 §4.6.3). */
static void test_key_update_flood(void **state)
{
    (void)state;
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    struct tls_context *context = server_context(), *other = client_context(false);
    SSL *ssl = SSL_new(other->ssl);
    SSL_set_bio(ssl, in, out);
    SSL_set_connect_state(ssl);
    client.was_secured = true;
    stream_secure(server.stream, tls_filter_new(context, (slice){ 0 }));
    char *octets;
    for (int i = 0; i < 100 && !server.has_ended; i++) {
        for (int k = 0; k < 100 && SSL_do_handshake(ssl) == 1 && i > 5; k++) {
            SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED);
            (void)SSL_do_handshake(ssl);
        }
        size_t count = (size_t)BIO_get_mem_data(out, &octets);
        stream_write(client.stream, slice_from(octets, count));
        (void)BIO_reset(out);
        run_for(2);
        BIO_write(in, client.got.ptr, (int)client.got.len);
        text_clear(&client.got);
    }
    assert_int_equal(server.why, IO_TLS);
    assert_string_equal(stream_error_text(server.stream), "the peer asks for too many new keys");
    SSL_free(ssl);
    tls_context_release(context);
    tls_context_release(other);
}

/* The second connection to a name resumes; one to another name does not, nor one of another context. */
static void connect_again(void)
{
    struct end *both[] = { &client, &server };
    for (size_t i = 0; i < COUNT(both); i++) {
        if (!both[i]->has_ended)
            stream_close(both[i]->stream);
        text_free(&both[i]->got);
        *both[i] = (struct end){ 0 };
    }
    run_for(5);
    connect_both();
}

static bool is_resumed(struct tls_context *for_client, struct tls_context *for_server, slice name)
{
    struct tls_info info;
    secure(tls_context_hold(for_client), tls_context_hold(for_server), name);
    expect_secured();
    run_for(5); /* the ticket comes behind the handshake */
    assert_true(tls_get_info(client.stream, &info));
    assert_true(info.verified == for_client->verifies);
    connect_again();
    return info.resumed;
}

static void check_resumption(int version)
{
    struct tls_context *first = client_context(true), *second = client_context(true), *for_server = server_context();
    struct tls_context *loose = client_context(false);
    SSL_CTX_set_max_proto_version(for_server->ssl, version);
    assert_false(is_resumed(first, for_server, SLICE("mx.example.org")));
    for (int i = 0; i < 3; i++)
        assert_true(is_resumed(first, for_server, SLICE("mx.example.org")));
    assert_false(is_resumed(second, for_server, SLICE("mx.example.org")));
    assert_false(is_resumed(loose, for_server, SLICE("mx.example.org")));
    assert_true(is_resumed(loose, for_server, SLICE("mx.example.org")));
    assert_false(is_resumed(loose, for_server, SLICE("mx2.example.org")));
    tls_context_release(first);
    tls_context_release(second);
    tls_context_release(loose);
    tls_context_release(for_server);
}

static void test_resumption(void **state)
{
    (void)state;
    check_resumption(TLS1_3_VERSION);
    check_resumption(TLS1_2_VERSION);
}

static void test_sessions_are_bounded(void **state)
{
    (void)state;
    struct tls_context *context = client_context(false);
    char name[16];
    for (int i = 0; i < 700; i++) {
        int len = snprintf(name, sizeof name, "mx%d", i % 600);
        tls_sessions_put(&context->sessions, slice_from(name, (size_t)len), SSL_SESSION_new());
    }
    assert_int_equal(context->sessions.by_name.count, 500);
    assert_null(tls_sessions_take(&context->sessions, SLICE("mx100"))); /* the oldest went */
    SSL_SESSION *session = tls_sessions_take(&context->sessions, SLICE("mx99"));
    assert_non_null(session);
    assert_null(tls_sessions_take(&context->sessions, SLICE("mx99")));
    SSL_SESSION_free(session);
    tls_context_release(context);
}

/* Much in both directions at once, with a pause on the way. */
static void test_much_data(void **state)
{
    (void)state;
    enum { PIECE = 777 * 1000, PIECES = 8 };
    char *piece = memory_new(PIECE);
    secure(client_context(true), server_context(), SLICE("mx.example.org"));
    for (int i = 0; i < PIECE; i++)
        piece[i] = (char)(i * 7 / 3);
    stream_pause(server.stream);
    for (int i = 0; i < PIECES; i++) {
        stream_write_shared(client.stream, slice_from(piece, PIECE), released, NULL);
        stream_write(server.stream, slice_from(piece, PIECE));
    }
    run_for(50);
    stream_resume(server.stream);
    run_until_got(&server, PIECE * PIECES);
    run_until_got(&client, PIECE * PIECES);
    assert_int_equal(server.octets, PIECE * PIECES);
    assert_int_equal(client.octets, PIECE * PIECES);
    assert_int_equal(releases, PIECES);
    for (int i = 0; i < PIECES; i++) {
        assert_memory_equal(server.got.ptr + i * PIECE, piece, PIECE);
        assert_memory_equal(client.got.ptr + i * PIECE, piece, PIECE);
    }
    memory_free(piece);
}

static void count_calls(struct end *end) { end->why++; }

static void test_a_turns_writes_are_one_record(void **state)
{
    (void)state;
    secure(client_context(true), server_context(), SLICE("mx.example.org"));
    client.after_bytes = count_calls;
    for (int i = 0; i < 100; i++)
        stream_write(server.stream, SLICE("250 2.1.5 fine\r\n"));
    run_until_got(&client, 1600);
    assert_int_equal(client.octets, 1600);
    assert_int_equal((int)client.why, 1);
}

/* PEM files and their errors */
static void expect_server_error(slice certificate_pem, slice key_pem, const char *wanted)
{
    struct text message = { 0 };
    const struct tls_server_params params = { certificate_pem, key_pem };
    assert_null(tls_server_new(&params, &message));
    assert_string_equal(text_cstr(&message), wanted);
    text_free(&message);
}

static void test_server_files(void **state)
{
    (void)state;
    struct text both = { 0 }, other = { 0 }, other_key = { 0 };
    assert_true(tls_make_self_signed(SLICE("other.example.org"), &other, &other_key, &error));
    slice good = text_slice(&certificate), none = { 0 };
    text_add(&both, text_slice(&key));
    text_add(&both, good);
    const struct tls_server_params in_one = { text_slice(&both), none };
    struct tls_context *context = tls_server_new(&in_one, &error);
    assert_non_null(context);
    tls_context_release(context);
    expect_server_error(good, none, "no private key found (PEM is expected: -----BEGIN PRIVATE KEY-----)");
    expect_server_error(none, text_slice(&key), "no certificate found (PEM is expected: -----BEGIN CERTIFICATE-----)");
    expect_server_error(SLICE("nonsense\0\xff"), text_slice(&key),
                        "no certificate found (PEM is expected: -----BEGIN CERTIFICATE-----)");
    expect_server_error(good, text_slice(&other_key), "the key does not belong to the certificate");
    expect_server_error(good,
                        SLICE("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"),
                        "the private key cannot be read (is it encrypted with a passphrase?)");
    text_free(&both);
    text_add_cstr(&both, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    const struct tls_server_params broken = { text_slice(&both), text_slice(&key) };
    text_clear(&error);
    assert_null(tls_server_new(&broken, &error));
    assert_true(slice_starts_with(text_slice(&error), SLICE("the certificate cannot be used: ")));
    text_free(&both);
    text_free(&other);
    text_free(&other_key);
}

static void test_client_authorities(void **state)
{
    (void)state;
    const struct tls_client_params nonsense = { true, SLICE("nonsense") };
    assert_null(tls_client_new(&nonsense, &error));
    assert_string_equal(text_cstr(&error),
                        "no authority's certificate found (PEM is expected: -----BEGIN CERTIFICATE-----)");
    text_clear(&error);
    struct tls_context *context = tls_client_new(&(struct tls_client_params){ .verify = true }, &error);
    assert_non_null(context); /* the system's, whatever they are */
    tls_context_release(context);
}

static void test_self_signed(void **state)
{
    (void)state;
    static const slice bad[] = { LIT(""), LIT("a b"), LIT("a,DNS:b"), LIT("a\0b"), LIT("a\nb"), LIT("b\xc3\xbc.de") };
    int64_t days;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct text first = { 0 }, second = { 0 };
        assert_false(tls_make_self_signed(bad[i], &first, &second, &error));
        assert_string_equal(text_cstr(&error), "a certificate needs a plain host name or address");
        text_clear(&error);
        assert_int_equal(first.len + second.len, 0);
    }
    assert_true(tls_certificate_days_left(text_slice(&certificate), &days));
    assert_in_range(days, 3650, 3653);
    assert_false(tls_certificate_days_left(SLICE("nonsense"), &days));
    X509 *x509 = read_certificate();
    assert_int_equal(X509_check_host(x509, "mx.example.org", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(x509, "example.org", 0, 0, NULL), 0);
    assert_int_equal(X509_get_version(x509), X509_VERSION_3);
    X509_free(x509);
}

static int make_certificate(void **state)
{
    (void)state;
    return tls_make_self_signed(SLICE("mx.example.org"), &certificate, &key, &error) ? 0 : -1;
}

static int free_certificate(void **state)
{
    (void)state;
    text_free(&certificate);
    text_free(&key);
    return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_connection, tear_down_connection)
    const struct CMUnitTest tests[] = {
        TEST(test_verified_connection),
        TEST(test_encrypted_only),
        TEST(test_tls_1_2),
        TEST(test_wrong_name),
        TEST(test_wrong_address),
        TEST(test_no_name_to_verify),
        TEST(test_address_in_the_certificate),
        TEST(test_unknown_authority),
        TEST(test_expired),
        TEST(test_old_versions_refused),
        TEST(test_weak_suites_refused),
        TEST(test_peer_without_tls),
        TEST(test_endless_handshake),
        TEST(test_cut_off_in_the_handshake),
        TEST(test_forged_record),
        TEST(test_key_update_flood),
        TEST(test_resumption),
        TEST(test_sessions_are_bounded),
        TEST(test_much_data),
        TEST(test_a_turns_writes_are_one_record),
        TEST(test_server_files),
        TEST(test_client_authorities),
        TEST(test_self_signed),
    };
    return cmocka_run_group_tests(tests, make_certificate, free_certificate);
}
