#include "base/clock.h"
#include "base/memory.h"
#include "ipc/frame.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct loop *loop;
static struct ipc_channel *here, *there;
static struct timer guard;
static int stored, ended;
static uint64_t wanted_request;
static char content[1024 * 1024];

static void too_late(void *context)
{
    (void)context;
    fail_msg("the loop did not stop");
}

static void run(void)
{
    timer_set(loop, &guard, SECONDS(20), too_late, NULL);
    loop_run(loop);
    timer_clear(loop, &guard);
}

static void stop(void *context)
{
    (void)context;
    loop_stop(loop);
}

static void run_for(uint64_t ms)
{
    struct timer timer = { 0 };
    timer_set(loop, &timer, ms, stop, NULL);
    run();
}

/* `there` answers each store, `here` counts the answers. */
static void on_store(void *context, const struct ipc_store *m)
{
    (void)context;
    if (m->file >= 0) {
        char octets[16];
        assert_int_equal(pread(m->file, octets, sizeof octets, 0), (int)m->octets);
        assert_memory_equal(octets, m->head.ptr, m->octets);
        assert_true(fcntl(m->file, F_GETFD) & FD_CLOEXEC);
        close(m->file);
    }
    assert_true(m->content.len == 0 || (m->content.ptr[0] == 'x' && m->content.ptr[m->content.len - 1] == 'x'));
    ipc_send_stored(there, &(struct ipc_stored){ .request = m->request, .ok = true, .text = m->local_part });
}

static void on_stored(void *context, const struct ipc_stored *m)
{
    (void)context;
    assert_int_equal(m->request, stored);
    assert_true(slice_eq(m->text, SLICE("ann")));
    if ((uint64_t)++stored == wanted_request)
        loop_stop(loop);
}

static void on_end(void *context)
{
    struct ipc_channel **channel = context;
    ended++;
    ipc_channel_free(*channel);
    *channel = NULL;
    loop_stop(loop);
}

static const struct ipc_handlers here_handlers = { .stored = on_stored, .end = on_end };
static const struct ipc_handlers there_handlers = { .store = on_store, .end = on_end };

static int set_up(void **state)
{
    (void)state;
    int fds[2];
    stored = ended = 0;
    memset(content, 'x', sizeof content);
    loop = loop_new("test");
    assert_true(ipc_pair(fds));
    here = ipc_channel_new(loop, fds[0], &here_handlers, &here);
    there = ipc_channel_new(loop, fds[1], &there_handlers, &there);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ipc_channel_free(here);
    ipc_channel_free(there);
    loop_free(loop);
    return 0;
}

static void send_store(uint64_t request, size_t octets, int file, slice head)
{
    ipc_send_store(here, &(struct ipc_store){
                             .request = request,
                             .domain = SLICE("example.org"),
                             .local_part = SLICE("ann"),
                             .head = head,
                             .content = slice_from(content, octets),
                             .file = file,
                             .octets = file >= 0 ? head.len : octets,
                         });
}

static void test_small_messages(void **state)
{
    (void)state;
    wanted_request = 10000;
    for (uint64_t i = 0; i < wanted_request; i++)
        send_store(i, i % 100, -1, SLICE(""));
    assert_int_equal(stored, 0);
    run();
    assert_int_equal(stored, 10000);
    assert_int_equal(ipc_pending(here), 0);
}

static void test_large_messages(void **state)
{
    (void)state;
    wanted_request = 60;
    for (uint64_t i = 0; i < wanted_request; i++)
        send_store(i, sizeof content - i, -1, SLICE("Return-Path: <>\r\n"));
    assert_true(ipc_pending(here) > 0);
    run();
    assert_int_equal(stored, 60);
}

static int make_file(const char *text)
{
    char name[] = "/tmp/channel-test-XXXXXX";
    int fd = mkostemp(name, O_CLOEXEC);
    assert_true(fd >= 0);
    unlink(name);
    assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
    return fd;
}

/* Each descriptor arrives with its own message, whatever stands between, also when the socket is full. */
static void test_descriptors(void **state)
{
    (void)state;
    wanted_request = 200;
    for (uint64_t i = 0; i < wanted_request; i++) {
        char text[16];
        int len = snprintf(text, sizeof text, "number %u", (unsigned)i);
        if (i % 3 == 0)
            send_store(i, 0, make_file(text), slice_from(text, (size_t)len));
        else
            send_store(i, i % 3 == 1 ? 10 : 100 * 1000, -1, SLICE(""));
    }
    run();
    assert_int_equal(stored, 200);
}

static void test_sender_gives_its_descriptor_away(void **state)
{
    (void)state;
    wanted_request = 1;
    int file = make_file("x");
    send_store(0, 0, file, SLICE("x"));
    assert_true(fcntl(file, F_GETFD) >= 0);
    run();
    assert_true(fcntl(file, F_GETFD) < 0);
    file = make_file("x");
    send_store(1, 0, file, SLICE("x"));
    ipc_channel_free(here);
    here = NULL;
    assert_true(fcntl(file, F_GETFD) < 0);
}

static void test_peer_leaves(void **state)
{
    (void)state;
    ipc_channel_free(there);
    there = NULL;
    send_store(0, sizeof content, -1, SLICE(""));
    assert_int_equal(ended, 0);
    run();
    assert_int_equal(ended, 1);
    assert_null(here);
}

static void test_flush_before_leaving(void **state)
{
    (void)state;
    wanted_request = 3;
    for (uint64_t i = 0; i < 3; i++)
        send_store(i, 1000, -1, SLICE(""));
    assert_true(ipc_pending(here) > 0);
    ipc_flush(here);
    assert_int_equal(ipc_pending(here), 0);
    run();
    /* nobody reads: it gives up in time */
    for (int i = 0; i < 5; i++)
        send_store(0, sizeof content, -1, SLICE(""));
    uint64_t start = clock_monotonic_ms();
    ipc_flush(here);
    assert_true(clock_monotonic_ms() - start < SECONDS(3));
    assert_true(ipc_pending(here) > 0);
}

static void test_too_long_ends(void **state)
{
    (void)state;
    char *large = memory_new(FRAME_MAX + 1);
    ipc_send_accounts(here, &(struct ipc_accounts){ slice_from(large, FRAME_MAX + 1) });
    assert_non_null(here);
    assert_string_equal(ipc_end_reason(here), "a message to send is longer than allowed");
    ipc_send_begin(here, &(struct ipc_begin){ 1 }); /* harmless */
    run();
    assert_null(here);
    memory_free(large);
}

/* raw octets from a peer that misbehaves: each time against a new channel */
static void drop_both(void)
{
    ipc_channel_free(here);
    ipc_channel_free(there);
    here = there = NULL;
    run_for(5);
}

static char reason[100];
static void keep_reason(void *context)
{
    (void)context;
    snprintf(reason, sizeof reason, "%s", ipc_end_reason(there));
    on_end(&there);
}

static void expect_end(slice octets, int descriptors, const char *why)
{
    static const struct ipc_handlers keeping = { .store = on_store, .end = keep_reason };
    int fds[2], file = descriptors ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
    assert_true(ipc_pair(fds));
    there = ipc_channel_new(loop, fds[0], &keeping, NULL);
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(64 * sizeof(int))] = { 0 };
    struct iovec vector = { (void *)octets.ptr, octets.len };
    struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
    if (descriptors) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE((size_t)descriptors * sizeof(int));
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        *head = (struct cmsghdr){ CMSG_LEN((size_t)descriptors * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
        for (int i = 0; i < descriptors; i++)
            memcpy(CMSG_DATA(head) + (size_t)i * sizeof(int), &file, sizeof(int));
    }
    assert_int_equal(sendmsg(fds[1], &message, 0), (int)octets.len);
    close(fds[1]);
    if (descriptors)
        close(file);
    reason[0] = 0;
    run();
    assert_string_equal(reason, why);
}

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void test_misbehaving_peers(void **state)
{
    (void)state;
    drop_both();
    int before = open_descriptors();
    expect_end(SLICE("\3\0\0\0"), 0, "the peer closed the channel");
    expect_end(SLICE("\xff\xff\xff\xff"), 0, "a message is longer than allowed");
    expect_end(SLICE("\2\0\0\0\x77\x77"), 0, "a message of an unknown type came");
    expect_end(SLICE("\2\0\0\0\4\0"), 0, "a message is malformed");
    expect_end(SLICE("\3\0\0\0\4\0\1"), 0, "a message came that is not for this process");
    expect_end(SLICE("\2"), 33, "too many descriptors came");
    /* a descriptor that no message asks for: with a half frame it may still belong, then the peer closes */
    expect_end(SLICE("\3\0\0\0"), 3, "the peer closed the channel");
    expect_end(SLICE("\3\0\0\0\4\0\1"), 3, "a message came that is not for this process");
    run_for(5);
    assert_int_equal(open_descriptors(), before);
}

static void test_descriptor_without_a_message(void **state)
{
    (void)state;
    struct text frame = { 0 };
    struct frame_fds fds;
    assert_true(frame_add_store(&frame, &(struct ipc_store){ .local_part = SLICE("ann"), .file = -1 }, &fds));
    drop_both();
    int before = open_descriptors();
    expect_end(text_slice(&frame), 2, "descriptors came without a message");
    run_for(5);
    assert_int_equal(open_descriptors(), before);
    text_free(&frame);
}

/* freed by its own handler, with more frames behind */
static void free_there(void *context, const struct ipc_store *m)
{
    (void)context;
    ipc_channel_free(there);
    there = NULL;
    assert_true(slice_eq(m->local_part, SLICE("ann"))); /* lives until the handler returns */
    loop_stop(loop);
}

static void test_freed_in_a_handler(void **state)
{
    (void)state;
    static const struct ipc_handlers freeing = { .store = free_there, .end = on_end };
    int fds[2];
    drop_both();
    assert_true(ipc_pair(fds));
    here = ipc_channel_new(loop, fds[0], &here_handlers, &here);
    there = ipc_channel_new(loop, fds[1], &freeing, NULL);
    for (uint64_t i = 0; i < 3; i++)
        send_store(i, 10, -1, SLICE(""));
    run();
    assert_null(there);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_small_messages),
        TEST(test_large_messages),
        TEST(test_descriptors),
        TEST(test_sender_gives_its_descriptor_away),
        TEST(test_peer_leaves),
        TEST(test_flush_before_leaving),
        TEST(test_too_long_ends),
        TEST(test_misbehaving_peers),
        TEST(test_descriptor_without_a_message),
        TEST(test_freed_in_a_handler),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
