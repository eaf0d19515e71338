#include "io/ends_for_test.h"
#include "io/stream_inside.h"

/* A filter for the tests: every octet is XORed, the handshake is one octet 'H' each way, '!' is a failure, '$' the end.
 */
struct veil {
    struct stream_filter filter;
    bool done;
};
static int veils;
static enum io_result veil_network(struct stream_filter *filter, slice octets)
{
    struct veil *veil = CONTAINER_OF(filter, struct veil, filter);
    if (!veil->done && octets.len) {
        if (octets.ptr[0] != 'H')
            return IO_TLS;
        veil->done = true;
        octets = slice_tail(octets, 1);
        filter_handshake_done(filter, IO_OK);
    }
    for (size_t i = 0; i < octets.len; i++) { /* octet by octet, as nasty as can be */
        char c = (char)(octets.ptr[i] ^ 0x20);
        if (c == '!' || c == '$')
            return c == '!' ? IO_TLS : IO_END;
        filter_deliver(filter, slice_from(&c, 1));
    }
    return IO_OK;
}
static enum io_result veil_plain(struct stream_filter *filter, slice octets)
{
    char part[RECORD_OCTETS];
    assert_true(octets.len <= sizeof part);
    for (size_t i = 0; i < octets.len; i++)
        part[i] = (char)(octets.ptr[i] ^ 0x20);
    filter_send(filter, slice_from(part, octets.len));
    return IO_OK;
}
static enum io_result veil_start(struct stream_filter *filter)
{
    filter_send(filter, SLICE("H"));
    return IO_OK;
}
static void veil_shutdown(struct stream_filter *filter)
{
    const char end = '$' ^ 0x20;
    filter_send(filter, slice_from(&end, 1));
}
static void veil_free(struct stream_filter *filter)
{
    veils--;
    memory_free(filter);
}
static const char *veil_error(const struct stream_filter *filter)
{
    (void)filter;
    return "the veil is torn";
}
static const struct stream_filter_functions veil_functions = {
    veil_network, veil_plain, veil_start, veil_shutdown, veil_free, veil_error,
};
static void put_veil(struct end *end)
{
    struct veil *veil = MEMORY_NEW(struct veil);
    veil->filter.functions = &veil_functions;
    veils++;
    stream_secure(end->stream, &veil->filter);
    assert_ptr_equal(stream_get_filter(end->stream), &veil->filter);
    assert_false(end->was_secured);
}

static void secure_both(void)
{
    connect_both();
    put_veil(&client);
    stream_write(client.stream, SLICE("early")); /* waits for the handshake */
    put_veil(&server);
    run();
    assert_int_equal(client.why, IO_OK);
    assert_int_equal(server.why, IO_OK);
}

static void test_filter_passes_both_ways(void **state)
{
    (void)state;
    secure_both();
    run_until_got(&server, 5);
    expect_got(&server, SLICE("early"));
    text_clear(&server.got);
    client.after_bytes = stop_after;
    static char large[200 * 1000];
    memset(large, 'y', sizeof large);
    stream_write_shared(server.stream, slice_from(large, sizeof large), released, NULL);
    run_until_got(&client, sizeof large);
    assert_int_equal(client.octets, sizeof large);
    assert_int_equal(releases, 1);
    stream_close(server.stream);
    run();
    assert_int_equal(client.why, IO_END); /* told by the filter's own end */
    stream_close(client.stream);
    run_for(5);
    assert_int_equal(veils, 0);
}

static void pause_after_two(struct end *end)
{
    if (end->octets == 2)
        stream_pause(end->stream);
}

static void test_filter_holds_during_a_pause(void **state)
{
    (void)state;
    secure_both();
    run_until_got(&server, 5);
    text_clear(&server.got);
    server.octets = 0;
    server.after_bytes = pause_after_two;
    stream_write(client.stream, SLICE("abcdef"));
    stream_close(client.stream);
    run_until_got(&server, 2);
    expect_got(&server, SLICE("ab"));
    assert_false(server.has_ended); /* the end stands behind the held octets */
    stream_resume(server.stream);
    expect_got(&server, SLICE("ab"));
    run();
    expect_got(&server, SLICE("abcdef"));
    assert_int_equal(server.why, IO_END);
    stream_close(server.stream);
    run_for(5);
    assert_int_equal(veils, 0);
}

static void close_first(struct end *end)
{
    stream_close(end->stream);
    end->stream = NULL;
    loop_stop(loop);
}

static void test_close_inside_a_filter(void **state)
{
    (void)state;
    secure_both();
    run_until_got(&server, 5);
    server.octets = 0;
    server.after_bytes = close_first;
    stream_write(client.stream, SLICE("abcdef"));
    run();
    assert_int_equal(server.octets, 1);
    run();
    assert_int_equal(client.why, IO_END);
}

static void test_handshake_fails(void **state)
{
    (void)state;
    connect_both();
    stream_write(client.stream, SLICE("not a handshake"));
    put_veil(&server);
    client.was_secured = true;
    run();
    assert_true(server.was_secured);
    assert_int_equal(server.why, IO_TLS);
    assert_false(server.has_ended);
    assert_string_equal(stream_error_text(server.stream), "the veil is torn");
    run_for(10);
    assert_false(server.has_ended);
    stream_close(server.stream);
}

static void test_filter_fails_later(void **state)
{
    (void)state;
    secure_both();
    stream_write(client.stream, SLICE("!"));
    run();
    assert_int_equal(server.why, IO_TLS);
    assert_true(server.has_ended);
}

static void test_peer_leaves_during_the_handshake(void **state)
{
    (void)state;
    connect_both();
    put_veil(&server);
    stream_write(server.stream, SLICE("never sent in the clear"));
    client.was_secured = true;
    stream_close(client.stream);
    run();
    assert_int_equal(server.why, IO_END);
    assert_true(server.was_secured);
    stream_close(server.stream);
    run_for(5);
    expect_got(&client, SLICE(""));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_filter_passes_both_ways), TEST(test_filter_holds_during_a_pause),
        TEST(test_close_inside_a_filter),   TEST(test_handshake_fails),
        TEST(test_filter_fails_later),      TEST(test_peer_leaves_during_the_handshake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
