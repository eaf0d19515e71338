#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "spool/spool.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
/*
 * spool_bench - the spool alone: sessions that each commit a message, wait until it is durable, deliver it (load, record
 * the final outcome) and go on with the next.
 *
 *     spool_bench DIR [sessions=50] [octets=4096] [messages=100000] [sync_delay_ms=0] [segment_octets=64M]
 */
struct bench {
    struct loop *loop;
    struct spool *spool;
    slice content;
    uint64_t wanted, begun, done, latency_us, slowest_us;
};
struct session {
    struct bench *bench;
    uint64_t begun_ns;
};

static void begin(struct session *);

static void on_durable(void *context, enum spool_result result, struct spool_message *m)
{
    struct session *s = context;
    struct bench *b = s->bench;
    struct spool_content content;
    const struct outcome relayed = { .action = ACTION_RELAYED, .status = { 2, 0, 0 }, .reply_code = 250, .text = LIT("2.0.0 ok") };
    if (result != SPOOL_OK || !spool_load(b->spool, m, &content, NULL, NULL)) {
        fprintf(stderr, "spool_bench: not accepted or not in memory (%d)\n", result);
        exit(1);
    }
    uint64_t us = (clock_monotonic_ns() - s->begun_ns) / 1000;
    b->latency_us += us;
    b->slowest_us = us > b->slowest_us ? us : b->slowest_us;
    spool_record(b->spool, m, 0, &relayed, 0);
    spool_release(b->spool, m);
    if (++b->done == b->wanted)
        loop_stop(b->loop);
    else if (b->begun < b->wanted)
        begin(s);
}

static void begin(struct session *s)
{
    struct bench *b = s->bench;
    struct recipient to = { .forward_path = { LIT("somebody"), LIT("example.net") }, .original = { LIT("somebody"), LIT("example.net") } };
    const struct envelope envelope = {
        .reverse_path = { LIT("sender"), LIT("example.org") },
        .client_address = LIT("127.0.0.1"),
        .helo = LIT("client.example.org"),
        .listener = LIT("mx"),
        .arrived_ms = loop_wall_ms(b->loop),
        .recipients = &to,
        .recipient_count = 1,
    };
    b->begun++;
    s->begun_ns = clock_monotonic_ns();
    struct spool_draft *draft = spool_begin(b->spool);
    if (spool_append(draft, b->content) != SPOOL_OK) {
        fprintf(stderr, "spool_bench: no room\n");
        exit(1);
    }
    spool_commit(draft, &envelope, 100, on_durable, s);
}

static double cpu_seconds(int who)
{
    struct rusage usage;
    getrusage(who, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static uint64_t argument(int argc, char **argv, int i, uint64_t preset)
{
    uint64_t value = preset;
    if (argc > i && !parse_size(slice_from_cstr(argv[i]), &value)) {
        fprintf(stderr, "spool_bench: %s is no number\n", argv[i]);
        exit(2);
    }
    return value;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: spool_bench DIR [sessions] [octets] [messages] [sync_delay_ms] [segment_octets]\n");
        return 2;
    }
    uint64_t sessions = argument(argc, argv, 2, 50), octets = argument(argc, argv, 3, 4096);
    struct bench b = { .loop = loop_new("bench"), .wanted = argument(argc, argv, 4, 100000) };
    const struct spool_params params = {
        .dir = argv[1],
        .sync_delay_ms = argument(argc, argv, 5, 0),
        .segment_octets = argument(argc, argv, 6, 64 << 20),
        .large_octets = 1 << 20,
        .memory_octets = 256 << 20,
    };
    struct text error = { 0 };
    b.spool = spool_open(b.loop, &params, &error);
    if (!b.spool) {
        fprintf(stderr, "spool_bench: %s\n", text_cstr(&error));
        return 1;
    }
    char *content = memory_new(octets);
    random_octets(content, octets);
    b.content = slice_from(content, octets);
    struct session *all = memory_new(sessions * sizeof(*all));
    uint64_t started_ns = clock_monotonic_ns();
    double cpu = cpu_seconds(RUSAGE_SELF);
    for (uint64_t i = 0; i < sessions && b.begun < b.wanted; i++) {
        all[i].bench = &b;
        begin(&all[i]);
    }
    double loop_cpu = cpu_seconds(RUSAGE_THREAD);
    loop_run(b.loop);
    double seconds = (double)(clock_monotonic_ns() - started_ns) / 1e9, n = (double)b.done;
    struct spool_statistics now;
    spool_get_statistics(b.spool, &now);
    printf("%.0f messages/s, %.3f syncs a message, %.1f us CPU a message (%.1f on the loop), latency %.2f ms (slowest %.1f), %" PRIu64
           " segments\n",
           n / seconds, (double)now.syncs / n, (cpu_seconds(RUSAGE_SELF) - cpu) * 1e6 / n,
           (cpu_seconds(RUSAGE_THREAD) - loop_cpu) * 1e6 / n, (double)b.latency_us / n / 1e3, (double)b.slowest_us / 1e3, now.segments);
    spool_close(b.spool);
    loop_free(b.loop);
    memory_free(all);
    memory_free(content);
    text_free(&error);
    return 0;
}
