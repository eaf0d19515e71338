#pragma once
#include "base/compiler.h"
/*
 * random - octets from the kernel, buffered per thread; fit for secrets and for jitter. Wiped in a child
 * after fork is not needed: children are started by exec.
 */
void random_octets(void *to, size_t octets);
uint64_t random_u64(void);
uint64_t random_below(uint64_t limit); /* 0 <= result < limit, without bias; limit > 0 */
