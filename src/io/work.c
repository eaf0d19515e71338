#include "io/work.h"
#include "base/memory.h"
#include "io/inside.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { DISK_THREADS = 8, CRYPTO_THREADS_MAX = 64 };

struct job {
    struct job *next;
    struct loop *loop;
    loop_function *run, *done;
    void *context;
};

struct lane {
    const char *name;
    pthread_mutex_t lock;
    pthread_cond_t has_job;
    struct job *first, **last;
};

/* One set for the process: what it shares out (disks, cores) there is once, too. */
static struct lane lanes[WORK_LANES] = {
    [WORK_DISK] = { "disk", PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, &lanes[WORK_DISK].first },
    [WORK_CRYPTO] = { "crypto", PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, &lanes[WORK_CRYPTO].first },
};
static pthread_once_t started = PTHREAD_ONCE_INIT;

static struct job *take_job(struct lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    while (!lane->first)
        pthread_cond_wait(&lane->has_job, &lane->lock);
    struct job *job = lane->first;
    lane->first = job->next;
    if (!lane->first)
        lane->last = &lane->first;
    pthread_mutex_unlock(&lane->lock);
    return job;
}

NORETURN static void *work(void *context)
{
    struct lane *lane = context;
    pthread_setname_np(pthread_self(), lane->name);
    for (;;) {
        struct job *job = take_job(lane);
        job->run(job->context);
        /* completions of many jobs share one wake-up of their loop: loop_post sees to it */
        loop_post(job->loop, job->done, job->context);
        atomic_fetch_sub(&job->loop->jobs, 1);
        memory_free(job);
    }
}

static void start_thread(struct lane *lane)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, lane) != 0) {
        fprintf(stderr, "postrider: cannot start a %s thread: too many threads or no memory\n", lane->name);
        abort();
    }
    pthread_detach(thread);
}

static void start_lanes(void)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loops' business */
    for (int i = 0; i < DISK_THREADS; i++)
        start_thread(&lanes[WORK_DISK]);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    for (long i = 0; i < (cores < 1 ? 1 : cores) && i < CRYPTO_THREADS_MAX; i++)
        start_thread(&lanes[WORK_CRYPTO]);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void work_run(struct loop *loop, enum work_lane name, loop_function *run, loop_function *done, void *context)
{
    assert(loop_is_current(loop) && name < WORK_LANES);
    pthread_once(&started, start_lanes);
    struct job *job = MEMORY_NEW(struct job);
    *job = (struct job){ .loop = loop, .run = run, .done = done, .context = context };
    atomic_fetch_add(&loop->jobs, 1);

    struct lane *lane = &lanes[name];
    pthread_mutex_lock(&lane->lock);
    *lane->last = job;
    lane->last = &job->next;
    pthread_cond_signal(&lane->has_job);
    pthread_mutex_unlock(&lane->lock);
}
