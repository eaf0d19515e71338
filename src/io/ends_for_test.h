#pragma once
/* Comes before <cmocka.h> everywhere: it brings that itself, with what must stand before it. */
#include "base/clock.h"
#include "base/memory.h"
#include "io/stream.h"
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>
/*
 * ends_for_test - a connection over loopback, and what each of its ends saw: what the tests of streams, and of filters
 * such as TLS, stand on.
 */
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

static inline void too_late(void *context)
{
    (void)context;
    fail_msg("the loop did not stop");
}

static inline void stop(void *context)
{
    (void)context;
    loop_stop(loop);
}

static inline void run(void)
{
    timer_set(loop, &guard, SECONDS(20), too_late, NULL);
    loop_run(loop);
    timer_clear(loop, &guard);
}

static inline void run_for(uint64_t ms)
{
    struct timer timer = { 0 };
    timer_set(loop, &timer, ms, stop, NULL);
    run();
    timer_clear(loop, &timer);
}

static inline void on_bytes(void *context, slice bytes)
{
    struct end *end = context;
    end->octets += bytes.len;
    text_add(&end->got, bytes);
    if (end->after_bytes)
        end->after_bytes(end);
}

static inline void on_end(void *context, enum io_result why)
{
    struct end *end = context;
    assert_false(end->has_ended);
    end->has_ended = true;
    end->why = why;
    loop_stop(loop);
}

static inline void on_secured(void *context, enum io_result why)
{
    struct end *end = context;
    assert_false(end->was_secured);
    end->was_secured = true;
    end->why = why;
    if (client.was_secured && server.was_secured)
        loop_stop(loop);
}

static inline void on_drained(void *context)
{
    struct end *end = context;
    end->was_drained = true;
}

static const struct stream_events events = { on_bytes, on_end, on_secured, on_drained };

static inline void on_accepted(void *context, struct stream *stream)
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

static inline void on_connected(void *context, struct stream *stream, enum io_result result)
{
    (void)context;
    client.stream = stream;
    client.why = result;
    if (!stream || server.stream)
        loop_stop(loop);
}

static inline int set_up(void **state)
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

static inline int tear_down(void **state)
{
    (void)state;
    loop_free(loop);
    text_free(&client.got);
    text_free(&server.got);
    return 0;
}

static inline void connect_both(void)
{
    stream_connect(loop, &(struct connect_params){ .peer = listening, .timeout_ms = SECONDS(5) }, on_connected, NULL);
    assert_null(client.stream);
    run();
    assert_non_null(client.stream);
    assert_non_null(server.stream);
    stream_start(client.stream, &events, &client);
    stream_start(server.stream, &events, &server);
}

static inline void expect_got(struct end *end, slice wanted)
{
    assert_int_equal(end->got.len, wanted.len);
    assert_memory_equal(end->got.ptr, wanted.ptr, wanted.len);
}

static inline void echo(struct end *end)
{
    stream_write(end->stream, text_slice(&end->got));
    text_clear(&end->got);
}

static inline void stop_after(struct end *end)
{
    (void)end;
    loop_stop(loop);
}

/* On a busy machine things take their time; what is checked afterwards is that they came. */
static inline void run_until_got(const struct end *end, size_t octets)
{
    for (int i = 0; i < 2000 && end->octets < octets; i++)
        run_for(5);
    run_for(5);
}

static inline void released(void *context)
{
    (void)context;
    releases++;
}
