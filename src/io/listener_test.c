#include "io/ends_for_test.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
/* Connecting and accepting, over TCP and Unix sockets. */

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

static int make_folder(void **state)
{
    (void)state;
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
        TEST(test_connect_refused),     TEST(test_connect_wrong_source), TEST(test_connect_from_source),
        TEST(test_connect_cancel),      TEST(test_unix_sockets),         TEST(test_connect_timeout),
        TEST(test_no_descriptors_left), TEST(test_listener_pause),       TEST(test_port_in_use),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
