#pragma once
#include "config/config.h"
/* reload - what a new configuration changes that only a restart can bring: the names of those options, ", " between. */
void reload_list_restart_options(struct text *names, const struct config *old, const struct config *new);
