#include "base/random.h"
#include "base/memory.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* getrandom gives up to 256 octets without being interrupted; one call serves 32 numbers. */
enum { STORE_OCTETS = 256 };
static _Thread_local struct {
    unsigned char octets[STORE_OCTETS];
    size_t left;
} store;

static void fill(void *to, size_t octets)
{
    unsigned char *next = to;
    while (octets > 0) {
        ssize_t got = getrandom(next, octets, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            /* Guessable ids and jitter are worse than a restart. */
            fprintf(stderr, "postrider: the kernel gives no random octets: %s\n", strerror(errno));
            abort();
        }
        next += got;
        octets -= (size_t)got;
    }
}

void random_octets(void *to, size_t octets)
{
    if (octets > STORE_OCTETS / 4) {
        fill(to, octets);
        return;
    }
    if (octets == 0)
        return;
    if (store.left < octets) {
        fill(store.octets, STORE_OCTETS);
        store.left = STORE_OCTETS;
    }
    store.left -= octets;
    memcpy(to, store.octets + store.left, octets);
    memory_wipe(store.octets + store.left, octets); /* given out once, kept nowhere */
}

uint64_t random_u64(void)
{
    uint64_t value;
    random_octets(&value, sizeof(value));
    return value;
}

uint64_t random_below(uint64_t limit)
{
    assert(limit > 0);
    uint64_t first_unbiased = (0 - limit) % limit; /* 2^64 mod limit */
    uint64_t value;
    do {
        value = random_u64();
    } while (value < first_unbiased);
    return value % limit;
}
