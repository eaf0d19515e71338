#pragma once
#include "base/compiler.h"
/*
 * retry - how long to wait before the next attempt (RFC 5321 §4.5.4.1), pure arithmetic. Waits are monotonic
 * durations in ms; what the journal keeps are wall clock times, and the wall clock may be moved either way.
 */
/* After `failures` failures in a row (from 1): `first`, growing by half each time up to `longest`, with 20 % jitter
 * either way so that what failed together does not come back together. At least 1, never past `longest`. */
uint64_t retry_wait_ms(uint64_t first_ms, uint64_t longest_ms, unsigned failures);
/* From now until a wall clock time kept earlier. A clock set back makes it at most `longest` (nothing is stuck); a
 * clock set forward makes it 0. */
uint64_t retry_left_ms(uint64_t next_wall_ms, uint64_t now_wall_ms, uint64_t longest_ms);
