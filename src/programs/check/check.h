#pragma once
#include "config/config.h"
/*
 * check - `postrider check-config` and `postrider config`: a configuration judged whole before it runs.
 *
 * check_deeply looks where the reader cannot: into the certificate and its key, into alias files, at what is dangerous
 * though it is allowed. Threads: any. The supervisor calls it before it starts or reloads.
 */

/* False: there are mistakes, which are added. Warnings are things that run but are hardly meant; `warnings` may be
 * NULL. */
MUST_CHECK bool check_deeply(const struct config *, struct config_mistakes *mistakes, struct config_mistakes *warnings);

int check_config_main(int argc, char **argv);
int config_main(int argc, char **argv);
