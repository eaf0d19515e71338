#include "base/clock.h"
#include "base/memory.h"
#include "io/stream.h"
#include "io/stream_inside.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct loop *loop;
static struct listener *listener;
static struct address listening;
static struct timer guard;

/* Both ends of one connection, and what each saw. */
struct end {
    struct stream *stream;
    struct text got;
    bool has_ended, was_secured, was_drained;
    enum io_result why;
    void (*after_bytes)(struct end *);
    size_t octets;
};
static struct end client, server;
static int releases;

static void too_late(void *context)
{
    (void)context;
    fail_msg("the loop did not stop");
}

static void stop(void *context)
{
    (void)context;
    loop_stop(loop);
}

static void run(void)
{
    timer_set(loop, &guard, SECONDS(20), too_late, NULL);
    loop_run(loop);
    timer_clear(loop, &guard);
}

static void run_for(uint64_t ms)
{
    struct timer timer = { 0 };
    timer_set(loop, &timer, ms, stop, NULL);
    run();
    timer_clear(loop, &timer);
}

static void on_bytes(void *context, slice bytes)
{
    struct end *end = context;
    end->octets += bytes.len;
    if (end->octets <= 64 * 1024)
        text_add(&end->got, bytes);
    if (end->after_bytes)
        end->after_bytes(end);
}

static void on_end(void *context, enum io_result why)
{
    struct end *end = context;
    assert_false(end->has_ended);
    end->has_ended = true;
    end->why = why;
    loop_stop(loop);
}

static void on_secured(void *context, enum io_result why)
{
    struct end *end = context;
    assert_false(end->was_secured);
    end->was_secured = true;
    end->why = why;
    if (client.was_secured && server.was_secured)
        loop_stop(loop);
}

static void on_drained(void *context)
{
    struct end *end = context;
    end->was_drained = true;
}

static const struct stream_events events = { on_bytes, on_end, on_secured, on_drained };

static void on_accepted(void *context, struct stream *stream)
{
    (void)context;
    if (server.stream) {
        stream_abort(stream);
        return;
    }
    server.stream = stream;
    if (client.stream)
        loop_stop(loop);
}

static void on_connected(void *context, struct stream *stream, enum io_result result)
{
    (void)context;
    client.stream = stream;
    client.why = result;
    if (!stream || server.stream)
        loop_stop(loop);
}

static int set_up(void **state)
{
    (void)state;
    client = server = (struct end){ 0 };
    releases = 0;
    loop = loop_new("test");
    assert_true(address_parse_with_port(SLICE("127.0.0.1:0"), &listening));
    int fd = listener_bind(&listening, true);
    assert_true(fd >= 0);
    socklen_t length = sizeof listening;
    assert_int_equal(getsockname(fd, &listening.any, &length), 0);
    listener = listener_new(loop, fd, on_accepted, NULL);
    assert_non_null(listener);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    loop_free(loop);
    text_free(&client.got);
    text_free(&server.got);
    return 0;
}

static void connect_both(void)
{
    stream_connect(loop, &(struct connect_params){ .peer = listening, .timeout_ms = SECONDS(5) }, on_connected, NULL);
    assert_null(client.stream);
    run();
    assert_non_null(client.stream);
    assert_non_null(server.stream);
    stream_start(client.stream, &events, &client);
    stream_start(server.stream, &events, &server);
}

static void expect_got(struct end *end, slice wanted)
{
    assert_int_equal(end->got.len, wanted.len);
    assert_memory_equal(end->got.ptr, wanted.ptr, wanted.len);
}

static void echo(struct end *end)
{
    stream_write(end->stream, text_slice(&end->got));
    text_clear(&end->got);
}

static void stop_after(struct end *end)
{
    (void)end;
    loop_stop(loop);
}

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

static void released(void *context)
{
    (void)context;
    releases++;
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
    run_for(100);
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
    run_for(500);
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

/* connecting */
static void test_connect_refused(void **state)
{
    (void)state;
    listener_free(listener);
    run_for(1);
    stream_connect(loop, &(struct connect_params){ .peer = listening, .timeout_ms = SECONDS(5) }, on_connected, NULL);
    run();
    assert_null(client.stream);
    assert_int_equal(client.why, IO_REFUSED);
}

static void test_connect_wrong_source(void **state)
{
    (void)state;
    struct address source;
    assert_true(address_parse(SLICE("192.0.2.1"), &source));
    const struct connect_params params = { .peer = listening, .source = &source, .timeout_ms = SECONDS(5) };
    stream_connect(loop, &params, on_connected, NULL);
    client.why = IO_OK;
    run();
    assert_null(client.stream);
    assert_int_equal(client.why, IO_UNREACHABLE);
}

static void test_connect_from_source(void **state)
{
    (void)state;
    struct address source;
    assert_true(address_parse(SLICE("127.0.0.3"), &source));
    stream_connect(loop, &(struct connect_params){ .peer = listening, .source = &source, .timeout_ms = SECONDS(5) },
                   on_connected, NULL);
    run();
    assert_true(address_eq(stream_peer(server.stream), &source));
    stream_close(client.stream);
}

static void test_connect_cancel(void **state)
{
    (void)state;
    struct connecting *c = stream_connect(loop, &(struct connect_params){ .peer = listening, .timeout_ms = SECONDS(5) },
                                          on_connected, NULL);
    stream_connect_cancel(c);
    char long_path[200];
    memset(long_path, 'p', sizeof long_path);
    long_path[sizeof long_path - 1] = 0;
    c = stream_connect(loop, &(struct connect_params){ .unix_path = long_path }, on_connected, NULL);
    stream_connect_cancel(c);
    run_for(30);
    assert_null(client.stream);
}

/* A Unix listener with a full queue: what else never answers on any machine? */
static char folder[] = "/tmp/stream-test-XXXXXX", path[64];
static void test_unix_sockets(void **state)
{
    (void)state;
    struct stat status;
    snprintf(path, sizeof path, "%s/socket", folder);
    int fd = listener_bind_unix(path, 0600);
    assert_true(fd >= 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(listener_bind_unix(path, 0600), -1); /* it is served */
    assert_int_equal(errno, EADDRINUSE);
    close(fd);
    fd = listener_bind_unix(path, 0660); /* nobody listens: a stale file */
    assert_true(fd >= 0);
    struct listener *unix_listener = listener_new(loop, fd, on_accepted, NULL);
    stream_connect(loop, &(struct connect_params){ .unix_path = path, .timeout_ms = SECONDS(5) }, on_connected, NULL);
    run();
    assert_non_null(client.stream);
    assert_int_equal(stream_peer(server.stream)->any.sa_family, AF_UNIX);
    assert_int_equal(stream_peer(client.stream)->any.sa_family, AF_UNIX);
    stream_start(client.stream, &events, &client);
    stream_start(server.stream, &events, &server);
    server.after_bytes = echo;
    client.after_bytes = stop_after;
    stream_write(client.stream, SLICE("over unix"));
    run();
    expect_got(&client, SLICE("over unix"));
    stream_close(client.stream);
    listener_free(unix_listener);
    run_for(5);
    assert_true(server.has_ended);
    stream_close(server.stream);
    unlink(path);
    text_free(&client.got);
    text_free(&server.got);
    client = server = (struct end){ 0 };
    stream_connect(loop, &(struct connect_params){ .unix_path = path, .timeout_ms = SECONDS(5) }, on_connected, NULL);
    run();
    assert_int_equal(client.why, IO_REFUSED);
}

static void test_connect_timeout(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "%s/full", folder);
    int fd = listener_bind_unix(path, 0600);
    assert_int_equal(listen(fd, 0), 0);
    struct connecting *fill[8];
    for (int i = 0; i < 8; i++)
        fill[i] =
            stream_connect(loop, &(struct connect_params){ .unix_path = path, .timeout_ms = 60 }, on_connected, NULL);
    assert_non_null(fill[0]);
    client.why = IO_OK;
    run_for(500);
    assert_int_equal(client.why, IO_TIMEOUT);
    close(fd);
    unlink(path);
}

/* accepting */
static int accepted_count, troubles;
static void count_accepted(void *context, struct stream *stream)
{
    (void)context;
    accepted_count++;
    stream_close(stream);
}
static void on_trouble(void *context, int error_number)
{
    (void)context;
    assert_int_equal(error_number, EMFILE);
    troubles++;
}

static void test_no_descriptors_left(void **state)
{
    (void)state;
    struct address address;
    struct rlimit before, low;
    assert_true(address_parse_with_port(SLICE("127.0.0.1:0"), &address));
    int fd = listener_bind(&address, false);
    socklen_t length = sizeof address;
    assert_int_equal(getsockname(fd, &address.any, &length), 0);
    accepted_count = troubles = 0;
    struct listener *l = listener_new(loop, fd, count_accepted, NULL);
    listener_on_trouble(l, on_trouble);

    int peer = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(peer, &address.any, length), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = before;
    low.rlim_cur = (rlim_t)peer + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    int filler[64], fillers = 0;
    while (fillers < 64 && (filler[fillers] = dup(peer)) >= 0)
        fillers++;
    struct rusage start, end;
    getrusage(RUSAGE_SELF, &start);
    run_for(400);
    getrusage(RUSAGE_SELF, &end);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(accepted_count, 0);
    assert_int_equal(troubles, 1); /* said once, tried a few times, no spinning */
    assert_true(end.ru_nvcsw - start.ru_nvcsw < 50);
    run_for(300);
    assert_int_equal(accepted_count, 1);
    while (fillers)
        close(filler[--fillers]);
    close(peer);
    listener_free(l);
}

static void test_listener_pause(void **state)
{
    (void)state;
    listener_pause(listener);
    stream_connect(loop, &(struct connect_params){ .peer = listening, .timeout_ms = SECONDS(5) }, on_connected, NULL);
    run_for(30);
    assert_non_null(client.stream); /* by the kernel */
    assert_null(server.stream);
    listener_resume(listener);
    run();
    assert_non_null(server.stream);
}

static void test_port_in_use(void **state)
{
    (void)state;
    int fd = listener_bind(&listening, false);
    assert_int_equal(fd, -1);
    assert_int_equal(errno, EADDRINUSE);
    fd = listener_bind(&listening, true); /* beside the other, as each loop has one */
    assert_true(fd >= 0);
    close(fd);
}

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
    run_for(5);
    expect_got(&server, SLICE("early"));
    text_clear(&server.got);
    client.after_bytes = stop_after;
    static char large[200 * 1000];
    memset(large, 'y', sizeof large);
    stream_write_shared(server.stream, slice_from(large, sizeof large), released, NULL);
    run_for(100);
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
    run_for(5);
    text_clear(&server.got);
    server.octets = 0;
    server.after_bytes = pause_after_two;
    stream_write(client.stream, SLICE("abcdef"));
    stream_close(client.stream);
    run_for(20);
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
    run_for(5);
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

static int make_folder(void **state)
{
    (void)state;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
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
        TEST(test_connect_refused),
        TEST(test_connect_wrong_source),
        TEST(test_connect_from_source),
        TEST(test_connect_cancel),
        TEST(test_unix_sockets),
        TEST(test_connect_timeout),
        TEST(test_no_descriptors_left),
        TEST(test_listener_pause),
        TEST(test_port_in_use),
        TEST(test_filter_passes_both_ways),
        TEST(test_filter_holds_during_a_pause),
        TEST(test_close_inside_a_filter),
        TEST(test_handshake_fails),
        TEST(test_filter_fails_later),
        TEST(test_peer_leaves_during_the_handshake),
        TEST(test_many_sessions),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
