#pragma once
#include "spool/fake_loop.h"
#include "spool/sim_disk.h"
#include "spool/spool.h"
#include "base/memory.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka wants those above first */
#include <cmocka.h>
#include <dirent.h>
#include <sys/stat.h>
/* fixture - for the spool's tests: a spool in a folder of its own on the fake loop, and mail made up for it. */
struct fixture {
    char dir[64];
    struct loop *loop;
    struct spool_params params;
    struct spool *spool;
};
int fixture_set_up(void **state);
int fixture_tear_down(void **state);
void fixture_open(struct fixture *);
void fixture_close(struct fixture *);
void fixture_reopen(struct fixture *);
/* The text of the refusal; fails the test when it opens. */
const char *fixture_open_error(struct fixture *);
void fixture_remove_folder(const char *dir);
#define SPOOL_TEST(f) cmocka_unit_test_setup_teardown(f, fixture_set_up, fixture_tear_down)

struct answer {
    int count;
    enum spool_result result;
    struct spool_message *message;
};
void answer_take(void *answer, enum spool_result, struct spool_message *); /* a spool_done */
struct envelope envelope_to(size_t recipient_count); /* up to 3 */
/* `octets` of printable text that `seed` tells from others. */
void fill_octets(char *to, size_t octets, unsigned seed);
void commit_octets(struct fixture *, size_t octets, unsigned seed, size_t recipient_count, struct answer *);
struct spool_message *accept_octets(struct fixture *, size_t octets, unsigned seed, size_t recipient_count);
struct loading {
    int count;
    enum spool_result result;
    struct spool_content content;
};
void loading_take(void *loading, enum spool_result, const struct spool_content *); /* a spool_loaded */
void assert_content(struct fixture *, struct spool_message *, size_t octets, unsigned seed);
extern const struct outcome relayed, delayed, failed;
