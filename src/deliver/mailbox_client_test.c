#include "deliver/fake_peers.h"
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h> /* wants the others before it */
/*
 * Against a mailbox process that stands at the other end of a real channel, on the same loop.
 */
struct mailbox_process {
    struct world *world;
    struct ipc_channel *channel; /* its end */
    struct text got;             /* what each request said */
    unsigned requests, dies_at;  /* 0: never */
    bool ok, temporary;
    bool only_length; /* of a file */
};
static struct mailbox_process process;

static void add_file(struct text *to, const struct ipc_store *m)
{
    char octets[64];
    if (process.only_length) {
        struct stat status;
        assert_int_equal(fstat(m->file, &status), 0);
        assert_int_equal(status.st_size, m->octets);
        text_add_u64(to, m->octets);
        close(m->file);
        return;
    }
    assert_true(m->octets <= sizeof(octets));
    assert_int_equal(pread(m->file, octets, (size_t)m->octets, 0), (ssize_t)m->octets);
    text_add(to, slice_from(octets, (size_t)m->octets));
    close(m->file);
}

static void die(void *context)
{
    (void)context;
    ipc_channel_free(process.channel);
    process.channel = NULL;
}

static void on_store(void *context, const struct ipc_store *m)
{
    (void)context;
    text_add_format(&process.got, SLICE_FMT "=" SLICE_FMT "@" SLICE_FMT "|" SLICE_FMT "|", SLICE_ARG(m->name),
                    SLICE_ARG(m->local_part), SLICE_ARG(m->domain), SLICE_ARG(m->head));
    if (m->file >= 0)
        add_file(&process.got, m);
    else
        text_add(&process.got, m->content);
    if (++process.requests == process.dies_at) {
        loop_post(process.world->loop, die, NULL);
        return;
    }
    if (process.dies_at)
        return;
    ipc_send_stored(process.channel,
                    &(struct ipc_stored){ m->request, process.ok, process.temporary, SLICE("so be it") });
}

static void on_stored(void *context, const struct ipc_stored *m)
{
    struct world *w = context;
    deliverer_stored(w->deliverer, m);
}

static void process_gone(void *context)
{
    struct world *w = context;
    ipc_channel_free(w->mailbox);
    w->mailbox = NULL;
    deliverer_mailbox_lost(w->deliverer);
}

static void supervisor_gone(void *context) { (void)context; }

static void start_process(void *context)
{
    static const struct ipc_handlers theirs = { .store = on_store, .end = supervisor_gone },
                                     ours = { .stored = on_stored, .end = process_gone };
    struct world *w = context;
    int fds[2];
    assert_true(ipc_pair(fds));
    w->mailbox = ipc_channel_new(w->loop, fds[0], &ours, w);
    process.channel = ipc_channel_new(w->loop, fds[1], &theirs, w);
}

static void begin(struct world *w)
{
    world_new(w, "", NULL);
    process = (struct mailbox_process){ .world = w, .ok = true };
    w->destination =
        (struct destination){ .kind = DESTINATION_MAILBOX, .key = SLICE("mailbox"), .name = SLICE("mailbox") };
}

static void end(struct world *w)
{
    if (w->mailbox)
        ipc_channel_free(w->mailbox);
    if (process.channel)
        ipc_channel_free(process.channel);
    text_free(&process.got);
    world_free(w);
}

static void assert_got(const char *wanted)
{
    slice got = text_slice(&process.got);
    if (!slice_eq(got, slice_from_cstr(wanted)))
        fail_msg("wanted\n%s\ngot\n" SLICE_FMT, wanted, SLICE_ARG(got));
}

/* the same at each attempt: the process recognizes what it has */
#define NAME(message, recipient) "0.I000000000000000" message "R" recipient "="
#define HEAD(to)                 "|Return-Path: <me@us.test>\r\nDelivered-To: " to "\r\n|"

static void each_recipient_gets_a_request(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    start_process(&w);
    world_add_message(&w, 2, SLICE("one\r\n"));
    struct fake_message *m = world_add_message(&w, 1, SLICE("two\r\n"));
    m->recipients[0].original = (struct path){ SLICE("alias"), SLICE("there.test") };
    world_run(&w);
    world_assert_log(&w, "two",
                     "1.1 delivered mailbox 2.0.0 0 so be it\n1.2 delivered mailbox 2.0.0 0 so be it\n"
                     "2.1 delivered mailbox 2.0.0 0 so be it\nend usable\n");
    assert_got(NAME("1", "0") "a@there.test" HEAD("a@there.test") "one\r\n" NAME("1", "1") "b@there.test" HEAD(
        "b@there.test") "one\r\n" NAME("2", "0") "a@there.test|Return-Path: <me@us.test>\r\nDelivered-To: "
                                                 "a@there.test\r\nX-Original-To: alias@there.test\r\n|two\r\n");
    end(&w);
}

static void captured(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    start_process(&w);
    w.load_later = true;
    w.destination.mailbox = SLICE("outside@captured");
    world_add_message(&w, 1, SLICE("x\r\n"));
    world_run(&w);
    world_assert_log(&w, "captured", "1.1 delivered mailbox 2.0.0 0 so be it\nend usable\n");
    assert_got(NAME("1", "0") "outside@captured" HEAD("a@there.test") "x\r\n");
    end(&w);
}

static void large_content_goes_as_a_file(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    start_process(&w);
    struct fake_message *m = world_add_message(&w, 2, (slice){ 0 });
    m->fd = memfd_create("content", MFD_CLOEXEC);
    assert_int_equal(write(m->fd, "large\r\n", 7), 7);
    m->message.content_octets = 7;
    world_run(&w);
    world_assert_log(&w, "large",
                     "1.1 delivered mailbox 2.0.0 0 so be it\n1.2 delivered mailbox 2.0.0 0 so be it\nend usable\n");
    assert_got(NAME("1", "0") "a@there.test" HEAD("a@there.test") "large\r\n" NAME("1", "1") "b@there.test" HEAD(
        "b@there.test") "large\r\n");
    end(&w);
}

/* More than one frame of the channel holds. */
static void huge_content_from_memory(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    start_process(&w);
    struct text huge = { 0 };
    memset(text_reserve(&huge, 20u << 20), 'x', 20u << 20);
    huge.len = 20u << 20;
    process.only_length = true;
    world_add_message(&w, 1, text_slice(&huge));
    world_run(&w);
    world_assert_log(&w, "huge", "1.1 delivered mailbox 2.0.0 0 so be it\nend usable\n");
    assert_got(NAME("1", "0") "a@there.test" HEAD("a@there.test") "20971520");
    end(&w);
    text_free(&huge);
}

static void refused(void **state)
{
    (void)state;
    static const char *const logs[] = { "1.1 failed mailbox 5.2.0 0 so be it\nend usable\n",
                                        "1.1 delayed mailbox 4.2.0 0 so be it\nend usable\n" };
    for (int temporary = 0; temporary < 2; temporary++) {
        struct world w;
        begin(&w);
        start_process(&w);
        process.ok = false;
        process.temporary = temporary != 0;
        world_add_message(&w, 1, SLICE("x\r\n"));
        world_run(&w);
        world_assert_log(&w, "refused", logs[temporary]);
        end(&w);
    }
}

static void start_well(void *context)
{
    process.dies_at = 0;
    start_process(context);
}

/* Nobody knows what it had stored; the copies keep their names. */
static void what_a_dead_process_had_is_asked_for_again(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    start_process(&w);
    process.dies_at = 2;
    world_add_message(&w, 1, SLICE("x\r\n"));
    world_add_message(&w, 1, SLICE("y\r\n"));
    struct timer timer = { 0 };
    timer_set(w.loop, &timer, 100, start_well, &w);
    world_run(&w);
    slice log = text_slice(&w.log);
    assert_true(slice_find(log, SLICE("1.1 none")) != SLICE_NOT_FOUND);
    assert_true(slice_find(log, SLICE("1.1 delivered mailbox 2.0.0 0 so be it\n")) != SLICE_NOT_FOUND);
    assert_true(slice_find(log, SLICE("2.1 delivered mailbox 2.0.0 0 so be it\n")) != SLICE_NOT_FOUND);
    assert_true(slice_find(log, SLICE("delayed")) == SLICE_NOT_FOUND);
    timer_clear(w.loop, &timer);
    end(&w);
}

static struct timer restarts;

/* Each time it dies at the first request. */
static void start_badly(void *context)
{
    struct world *w = context;
    process.requests = 0;
    process.dies_at = 1;
    if (!process.channel)
        start_process(w);
    timer_set(w->loop, &restarts, 50, start_badly, w);
}

static void a_process_that_dies_again_and_again_delays_the_mail(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    restarts = (struct timer){ 0 };
    start_badly(&w);
    world_add_message(&w, 1, SLICE("x\r\n"));
    world_run(&w);
    slice log = text_slice(&w.log);
    assert_true(slice_find(log, SLICE("1.1 none")) != SLICE_NOT_FOUND);
    assert_true(slice_find(log, SLICE("1.1 delayed mailbox 4.3.0 0 the mailbox process ended before it answered\n")) !=
                SLICE_NOT_FOUND);
    timer_clear(w.loop, &restarts);
    end(&w);
}

static void mail_waits_for_the_process(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    world_add_message(&w, 1, SLICE("x\r\n"));
    struct timer timer = { 0 };
    timer_set(w.loop, &timer, 300, start_process, &w);
    world_run(&w);
    world_assert_log(&w, "waits", "1.1 delivered mailbox 2.0.0 0 so be it\nend usable\n");
    end(&w);
}

static void end_process(struct world *w)
{
    w->asked = NULL;
    die(NULL);
    process_gone(w);
}

/* It ended while the content was being loaded, and stays away for longer than mail is kept waiting for it. */
static void mail_in_hand_goes_on_when_the_process_is_back(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    deliverer_configure(w.deliverer, &(struct deliver_params){ .idle_ms = 10, .reply_timeout_ms = 100 });
    start_process(&w);
    w.load_later = true;
    w.asked = end_process;
    world_add_message(&w, 1, SLICE("x\r\n"));
    struct timer timer = { 0 };
    timer_set(w.loop, &timer, 700, start_process, &w);
    world_run(&w);
    world_assert_log(&w, "in hand", "1.1 delivered mailbox 2.0.0 0 so be it\nend usable\n");
    end(&w);
}

static void damaged_content(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    start_process(&w);
    w.load_later = w.load_fails = true;
    world_add_message(&w, 1, SLICE("x\r\n"));
    world_run(&w);
    world_assert_log(
        &w, "damaged",
        "1.1 failed mailbox 5.3.0 0 the content of the message is damaged on this server's disk\nend usable\n");
    assert_int_equal(process.requests, 0);
    end(&w);
}

static void give_up(void *context)
{
    struct world *w = context;
    loop_stop(w->loop);
}

/* The server ends while an answer is missing. */
static void freed_in_between(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    start_process(&w);
    process.dies_at = 9;
    world_add_message(&w, 2, SLICE("x\r\n"));
    struct timer timer = { 0 };
    timer_set(w.loop, &timer, 50, give_up, &w);
    world_run(&w);
    end(&w);
}

static void discarded(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    w.destination.kind = DESTINATION_DISCARD;
    world_add_message(&w, 2, SLICE("x\r\n"));
    world_run(&w);
    world_assert_log(&w, "discarded",
                     "1.1 delivered policy 2.0.0 0 discarded, as the route for this domain says\n"
                     "1.2 delivered policy 2.0.0 0 discarded, as the route for this domain says\nend usable\n");
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_recipient_gets_a_request),
        cmocka_unit_test(captured),
        cmocka_unit_test(large_content_goes_as_a_file),
        cmocka_unit_test(huge_content_from_memory),
        cmocka_unit_test(refused),
        cmocka_unit_test(what_a_dead_process_had_is_asked_for_again),
        cmocka_unit_test(a_process_that_dies_again_and_again_delays_the_mail),
        cmocka_unit_test(mail_waits_for_the_process),
        cmocka_unit_test(mail_in_hand_goes_on_when_the_process_is_back),
        cmocka_unit_test(damaged_content),
        cmocka_unit_test(freed_in_between),
        cmocka_unit_test(discarded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
