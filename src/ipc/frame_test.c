#include "ipc/frame.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* Every message of messages.def goes there and back, made from the same rows. */
static uint64_t next_number;
static int handled;
static ino_t inode_of(int fd)
{
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    return status.st_ino;
}

static slice some_octets(uint64_t number)
{
    static const slice choices[] = { LIT("ann"), LIT(""), LIT("\0\r\n\xff"), LIT("a longer text of some words") };
    return choices[number % COUNT(choices)];
}

#define MAKE_U64(field)   m.field = next_number++ * 0x0123456789abcdULL;
#define MAKE_BOOL(field)  m.field = next_number++ % 2 == 0;
#define MAKE_BYTES(field) m.field = some_octets(next_number++);
#define MAKE_FD(field)    m.field = next_number++ % 3 ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
#define SAME_U64(field)   assert_int_equal(m->field, sent->field);
#define SAME_BOOL(field)  assert_int_equal(m->field, sent->field);
#define SAME_BYTES(field) assert_true(slice_eq(m->field, sent->field));
#define SAME_FD(field)                                                                                                 \
    assert_int_equal(m->field < 0, sent->field < 0);                                                                   \
    if (m->field >= 0) {                                                                                               \
        assert_int_equal(inode_of(m->field), inode_of(sent->field));                                                   \
        close(m->field);                                                                                               \
    }
#define NOTHING(field)
#define CLOSE_FD(field)                                                                                                \
    if (m.field >= 0)                                                                                                  \
        close(m.field);

#define ON_MESSAGE(name, fields, ...)                                                                                  \
    static void on_##name(void *context, const struct ipc_##name *m)                                                   \
    {                                                                                                                  \
        const struct ipc_##name *sent = context;                                                                       \
        handled++;                                                                                                     \
        fields(SAME_U64, SAME_BOOL, SAME_BYTES, SAME_FD)                                                               \
    }
IPC_MESSAGES(ON_MESSAGE)
#define HANDLER(name, ...) .name = on_##name,
static const struct ipc_handlers handlers = { IPC_MESSAGES(HANDLER) };

static void give_copies(struct fd_queue *queue, const struct frame_fds *fds)
{
    for (size_t i = 0; i < fds->count; i++)
        assert_true(fd_queue_add(queue, dup(fds->fds[i])));
}

/* The whole frame, then each way of cutting it short and one octet too many: refused, and nothing stays open. */
static void check_frame(struct text *text, const struct frame_fds *fds, void *sent)
{
    size_t whole;
    struct fd_queue queue = { 0 };
    assert_int_equal(frame_measure(text_slice(text), &whole), FRAME_OK);
    assert_int_equal(whole, text->len);
    give_copies(&queue, fds);
    handled = 0;
    assert_int_equal(frame_dispatch(text_slice(text), &queue, &handlers, sent), FRAME_OK);
    assert_int_equal(handled, 1);
    assert_int_equal(queue.count, 0);
    if (fds->count) /* the descriptor is missing */
        assert_int_equal(frame_dispatch(text_slice(text), &queue, &handlers, sent), FRAME_MALFORMED);
    for (size_t len = 0; len < text->len; len++) {
        assert_int_equal(frame_measure(slice_head(text_slice(text), len), &whole), FRAME_INCOMPLETE);
        assert_int_equal(whole, len < 4 ? 0 : text->len);
        if (len < 6)
            continue;
        give_copies(&queue, fds);
        assert_int_equal(frame_dispatch(slice_head(text_slice(text), len), &queue, &handlers, sent), FRAME_MALFORMED);
        fd_queue_close(&queue);
    }
    text_add_byte(text, 0);
    give_copies(&queue, fds);
    assert_int_equal(frame_dispatch(text_slice(text), &queue, &handlers, sent), FRAME_MALFORMED);
    fd_queue_close(&queue);
    assert_int_equal(handled, 1);
}

#define ROUND_TRIP(name, fields, ...)                                                                                  \
    for (int round = 0; round < 12; round++, next_number++) {                                                          \
        struct ipc_##name m;                                                                                           \
        struct frame_fds fds;                                                                                          \
        struct text text = { 0 };                                                                                      \
        fields(MAKE_U64, MAKE_BOOL, MAKE_BYTES, MAKE_FD) assert_true(frame_add_##name(&text, &m, &fds));               \
        check_frame(&text, &fds, &m);                                                                                  \
        fields(NOTHING, NOTHING, NOTHING, CLOSE_FD) text_free(&text);                                                  \
    }

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void test_every_message_there_and_back(void **state)
{
    (void)state;
    int before = open_descriptors();
    IPC_MESSAGES(ROUND_TRIP)
    assert_int_equal(open_descriptors(), before);
}

static void test_hostile_frames(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        slice octets;
        enum frame_result measured, dispatched;
    } cases[] = {
        { "nothing", LIT(""), FRAME_INCOMPLETE, 0 },
        { "no room for a type", LIT("\1\0\0\0\0"), FRAME_MALFORMED, 0 },
        { "length 0", LIT("\0\0\0\0"), FRAME_MALFORMED, 0 },
        { "one more than allowed", LIT("\1\0\0\1"), FRAME_TOO_LONG, 0 },
        { "all ones", LIT("\xff\xff\xff\xff\xff\xff"), FRAME_TOO_LONG, 0 },
        { "the most that is allowed", LIT("\0\0\0\1"), FRAME_INCOMPLETE, 0 },
        { "unknown type", LIT("\2\0\0\0\xff\xff"), FRAME_OK, FRAME_UNKNOWN },
        { "first unknown type", LIT("\2\0\0\0\x0c\0"), FRAME_OK, FRAME_UNKNOWN },
        { "bool is 2", LIT("\3\0\0\0\4\0\2"), FRAME_OK, FRAME_MALFORMED },
        { "octets past the end", LIT("\6\0\0\0\6\0\1\0\0\0"), FRAME_OK, FRAME_MALFORMED },
        { "length of octets all ones", LIT("\6\0\0\0\6\0\xff\xff\xff\xff"), FRAME_OK, FRAME_MALFORMED },
        { "nobody handles it", LIT("\6\0\0\0\6\0\0\0\0\0"), FRAME_OK, FRAME_UNEXPECTED },
    };
    _Static_assert(FRAME_TYPES == 12 && FRAME_stop == 4 && FRAME_failed == 6, "the rows above name types by number");
    static const struct ipc_handlers nobody;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct fd_queue queue = { 0 };
        size_t whole;
        if (frame_measure(cases[i].octets, &whole) != cases[i].measured)
            fail_msg("%s: measured otherwise", cases[i].name);
        if (cases[i].measured == FRAME_OK &&
            frame_dispatch(cases[i].octets, &queue, &nobody, NULL) != cases[i].dispatched)
            fail_msg("%s: dispatched otherwise", cases[i].name);
    }
}

static void test_too_long_to_send(void **state)
{
    (void)state;
    static char large[FRAME_MAX];
    struct text text = { 0 };
    struct frame_fds fds;
    assert_true(frame_add_accounts(&text, &(struct ipc_accounts){ slice_from(large, FRAME_MAX - 6) }, &fds));
    size_t len = text.len;
    assert_false(frame_add_accounts(&text, &(struct ipc_accounts){ slice_from(large, FRAME_MAX - 5) }, &fds));
    assert_false(frame_add_accounts(&text, &(struct ipc_accounts){ slice_from(large, SIZE_MAX) }, &fds));
    assert_int_equal(text.len, len);
    text_free(&text);
}

static void test_descriptor_queue_is_bounded(void **state)
{
    (void)state;
    struct fd_queue queue = { 0 };
    for (int i = 0; i < FDS_WAITING_MAX; i++)
        assert_true(fd_queue_add(&queue, dup(0)));
    assert_false(fd_queue_add(&queue, 0));
    fd_queue_close(&queue);
    assert_int_equal(queue.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_message_there_and_back),
        cmocka_unit_test(test_hostile_frames),
        cmocka_unit_test(test_too_long_to_send),
        cmocka_unit_test(test_descriptor_queue_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
