#include "schedule/retry.h"
#include "base/random.h"

uint64_t retry_wait_ms(uint64_t first_ms, uint64_t longest_ms, unsigned failures)
{
    uint64_t wait = first_ms < longest_ms ? first_ms : longest_ms;
    for (unsigned i = 1; i < failures && wait < longest_ms; i++)
        wait += wait / 2 + 1; /* + 1: a wait of 1 ms grows too */
    if (wait > longest_ms)
        wait = longest_ms;

    uint64_t jittered = wait - wait / 5 + random_below(wait / 5 * 2 + 1);
    if (jittered > longest_ms) /* folded back, not cut off: a crowd at the limit must stay spread out */
        jittered = longest_ms - (jittered - longest_ms);
    return jittered ? jittered : 1;
}

uint64_t retry_left_ms(uint64_t next_wall_ms, uint64_t now_wall_ms, uint64_t longest_ms)
{
    if (next_wall_ms <= now_wall_ms)
        return 0;
    uint64_t left = next_wall_ms - now_wall_ms;
    return left < longest_ms ? left : longest_ms;
}
