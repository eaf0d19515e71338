#pragma once
#include "base/compiler.h"
/*
 * clock - two clocks that must not be mixed up. Monotonic: for waits and durations, never jumps, means
 * nothing outside the process. Wall: milliseconds since 1970 UTC, for dates and for what is written to
 * disk; an operator or NTP may move it either way.
 */
uint64_t clock_monotonic_ms(void);
uint64_t clock_monotonic_ns(void);
uint64_t clock_wall_ms(void);
#define SECONDS(n) ((uint64_t)(n)*1000)
#define MINUTES(n) ((uint64_t)(n)*60 * 1000)
#define HOURS(n)   ((uint64_t)(n)*60 * 60 * 1000)
#define DAYS(n)    ((uint64_t)(n)*24 * 60 * 60 * 1000)
