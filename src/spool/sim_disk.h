#pragma once
#include "spool/disk.h"
/*
 * sim_disk - for tests: a disk in between that knows what a power cut would leave. Calls go through to real files (so
 * that the process sees what it wrote); beside them stand the octets and names that are certainly durable and those
 * that may or may not be. Calls that change something are numbered, and any of them can be made to fail.
 */
struct sim_disk;
enum sim_fault {
    SIM_NONE,
    SIM_CRASH,   /* the call and all after it do nothing and fail: the machine is gone */
    SIM_FAIL,    /* this one call: EIO; a write may have been done in part, a sync loses what it was to make durable, and
                    like the kernel's tells every other open file description once, at its next sync */
    SIM_FULL,    /* this one call: ENOSPC, without any effect */
};
struct sim_disk *sim_new(const char *dir); /* what is in the folder counts as durable */
struct disk *sim_as_disk(struct sim_disk *);
void sim_set_fault(struct sim_disk *, enum sim_fault, uint64_t call); /* 1: the next one */
/* Runs once, within the next sync and before it does anything: what another lane gets done at the same time. */
void sim_set_meanwhile(struct sim_disk *, void (*meanwhile)(void *context), void *context);
uint64_t sim_calls(const struct sim_disk *);
bool sim_fault_came(const struct sim_disk *);
/* Makes `dir` what the disk may hold now. seed 0: only what was synced; 1: everything; else: any part, torn by sectors. */
void sim_power_cut(struct sim_disk *, const char *dir, uint64_t seed);
void sim_free(struct sim_disk *);
