#include "io/ends_for_test.h"
#include "io/stream_inside.h"
#include <sys/resource.h>
#include <unistd.h>

static void test_echo_and_addresses(void **state)
{
    (void)state;
    connect_both();
    assert_true(address_eq(stream_peer(client.stream), &listening));
    assert_int_equal(address_port(stream_peer(client.stream)), address_port(&listening));
    assert_int_equal(address_port(stream_local(server.stream)), address_port(&listening));
    assert_int_equal(address_port(stream_local(client.stream)), address_port(stream_peer(server.stream)));
    assert_string_equal(stream_error_text(client.stream), "");
    server.after_bytes = echo;
    client.after_bytes = stop_after;
    stream_write(client.stream, SLICE("one "));
    stream_write(client.stream, SLICE(""));
    stream_write(client.stream, SLICE("two\0\r\n"));
    assert_int_equal(stream_pending(client.stream), 10);
    run();
    assert_int_equal(stream_pending(client.stream), 0);
    expect_got(&client, SLICE("one two\0\r\n"));
}

static void test_stream_is_small(void **state)
{
    (void)state;
    print_message("an idle stream: %zu octets\n", sizeof(struct stream));
    assert_true(sizeof(struct stream) <= 512);
}

static void test_shared_is_released_once_sent(void **state)
{
    (void)state;
    static char large[300 * 1000];
    memset(large, 'x', sizeof large);
    connect_both();
    stream_write(client.stream, SLICE("head"));
    stream_write_shared(client.stream, slice_from(large, sizeof large), released, NULL);
    stream_write_shared(client.stream, SLICE(""), released, NULL);
    stream_write(client.stream, SLICE("tail"));
    assert_int_equal(releases, 0); /* never inside the call */
    run_until_got(&server, sizeof large + 8);
    assert_int_equal(releases, 2);
    assert_int_equal(server.octets, sizeof large + 8);
    assert_true(client.was_drained);
}

/* 20 MB to a reader that pauses: nothing lost, the order kept, the writer told when it is over */
static void test_slow_reader(void **state)
{
    (void)state;
    enum { PIECE = 100 * 1000, PIECES = 200 };
    static char piece[PIECE];
    connect_both();
    stream_pause(server.stream);
    for (int i = 0; i < PIECES; i++) {
        memset(piece, 'a' + i % 26, sizeof piece);
        stream_write(client.stream, slice_from(piece, sizeof piece));
    }
    run_for(50);
    assert_int_equal(server.octets, 0);
    assert_true(stream_pending(client.stream) > HIGH_MARK_OCTETS);
    assert_false(client.was_drained);
    stream_resume(server.stream);
    run_until_got(&server, (size_t)PIECE * PIECES);
    assert_int_equal(server.octets, (size_t)PIECE * PIECES);
    assert_true(client.was_drained);
    assert_int_equal(stream_pending(client.stream), 0);
}

static void close_it(struct end *end)
{
    stream_write(end->stream, SLICE("221 bye\r\n"));
    stream_close(end->stream);
    end->stream = NULL;
}

static void test_close_sends_what_was_written(void **state)
{
    (void)state;
    connect_both();
    server.after_bytes = close_it;
    stream_write(client.stream, SLICE("QUIT\r\n"));
    run();
    assert_true(client.has_ended);
    assert_int_equal(client.why, IO_END);
    expect_got(&client, SLICE("221 bye\r\n"));
    assert_false(server.has_ended);
    stream_close(client.stream);
    run_for(20);
}

/* A client that goes on sending gets the last reply all the same: no reset before it has read it. */
static void test_close_while_the_peer_talks(void **state)
{
    (void)state;
    static char flood[500 * 1000];
    connect_both();
    stream_pause(server.stream);
    stream_write(client.stream, slice_from(flood, sizeof flood));
    run_for(20);
    close_it(&server);
    run();
    assert_int_equal(client.why, IO_END);
    expect_got(&client, SLICE("221 bye\r\n"));
}

static void test_peer_ends_its_side_only(void **state)
{
    (void)state;
    connect_both();
    stream_write(client.stream, SLICE("last words"));
    stream_flush(client.stream);
    shutdown(client.stream->watcher.fd, SHUT_WR);
    run();
    assert_int_equal(server.why, IO_END);
    expect_got(&server, SLICE("last words"));
    client.after_bytes = stop_after;
    stream_write(server.stream, SLICE("answer"));
    run();
    expect_got(&client, SLICE("answer"));
    stream_close(server.stream);
}

static void test_abort_resets(void **state)
{
    (void)state;
    connect_both();
    stream_write(client.stream, SLICE("never sent"));
    stream_abort(client.stream);
    run();
    assert_int_equal(server.why, IO_RESET);
    assert_int_equal(server.octets, 0);
}

/* What the peer said before it broke off is read, and then the end comes once, though writing failed first. */
static void test_write_to_a_peer_that_left(void **state)
{
    (void)state;
    connect_both();
    stream_write(server.stream, SLICE("421 going\r\n"));
    stream_flush(server.stream);
    stream_write(client.stream, SLICE("unread, so that closing resets"));
    stream_flush(client.stream);
    usleep(10 * 1000);
    stream_abort(server.stream);
    usleep(10 * 1000);
    stream_write(client.stream, SLICE("too late"));
    stream_flush(client.stream);
    stream_write_shared(client.stream, SLICE("much too late"), released, NULL);
    assert_false(client.has_ended);
    run();
    assert_true(client.why == IO_RESET);
    run_for(5);
    assert_int_equal(releases, 1);
    assert_int_equal(stream_pending(client.stream), 0);
}

static void test_hand_over(void **state)
{
    (void)state;
    struct end other = { .after_bytes = stop_after };
    connect_both();
    stream_start(server.stream, &events, &other);
    stream_write(client.stream, SLICE("x"));
    run();
    expect_got(&other, SLICE("x"));
    assert_int_equal(server.octets, 0);
    text_free(&other.got);
}

/* 2000 sessions at once, all talking, closed at odd moments. */
enum { MANY = 2000 };
static struct end ends[MANY];
static int connected_many, replies;
static void echo_and_close(void *context, slice bytes)
{
    (void)bytes;
    struct stream **stream = context;
    stream_write(*stream, SLICE("250 ok\r\n"));
    stream_close(*stream);
    memory_free(stream);
}
static void free_holder(void *context, enum io_result why)
{
    (void)why;
    struct stream **stream = context;
    stream_close(*stream);
    memory_free(stream);
}
static const struct stream_events echo_events = { echo_and_close, free_holder, NULL, NULL };
static void accept_many(void *context, struct stream *stream)
{
    (void)context;
    struct stream **holder = MEMORY_NEW(struct stream *);
    *holder = stream;
    stream_start(stream, &echo_events, holder);
}
static void many_reply(void *context, slice bytes)
{
    struct end *end = context;
    assert_int_equal(bytes.len, 8);
    replies++;
    if (end - ends == 7)
        return; /* waits for the end */
    stream_close(end->stream);
    end->stream = NULL;
}
static void many_end(void *context, enum io_result why)
{
    struct end *end = context;
    assert_int_equal(why, IO_END);
    stream_close(end->stream);
    end->stream = NULL;
}
static const struct stream_events many_events = { many_reply, many_end, NULL, NULL };
static void many_connected(void *context, struct stream *stream, enum io_result result)
{
    struct end *end = context;
    assert_int_equal(result, IO_OK);
    end->stream = stream;
    stream_start(stream, &many_events, end);
    stream_write(stream, SLICE("EHLO\r\n"));
    if (++connected_many < MANY)
        return;
    loop_stop(loop);
}

static void test_many_sessions(void **state)
{
    (void)state;
    struct address address = listening;
    address_set_port(&address, 0);
    int fd = listener_bind(&address, false);
    socklen_t length = sizeof address;
    assert_int_equal(getsockname(fd, &address.any, &length), 0);
    struct listener *l = listener_new(loop, fd, accept_many, NULL);
    connected_many = replies = 0;
    for (int i = 0; i < MANY; i++)
        stream_connect(loop, &(struct connect_params){ .peer = address, .timeout_ms = SECONDS(10) }, many_connected,
                       &ends[i]);
    run();
    for (int i = 0; i < 100 && replies < MANY; i++)
        run_for(20);
    assert_int_equal(replies, MANY);
    run_for(20);
    assert_null(ends[7].stream);
    listener_free(l);
}

static int allow_many_descriptors(void **state)
{
    (void)state;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return -1;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_echo_and_addresses),
        TEST(test_stream_is_small),
        TEST(test_shared_is_released_once_sent),
        TEST(test_slow_reader),
        TEST(test_close_sends_what_was_written),
        TEST(test_close_while_the_peer_talks),
        TEST(test_peer_ends_its_side_only),
        TEST(test_abort_resets),
        TEST(test_write_to_a_peer_that_left),
        TEST(test_hand_over),
        TEST(test_many_sessions),
    };
    return cmocka_run_group_tests(tests, allow_many_descriptors, NULL);
}
