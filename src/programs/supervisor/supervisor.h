#pragma once
#include "config/config.h"
/*
 * supervisor - starts, watches and restarts the processes of one server and hands them what they need: bound ports,
 * the configuration, channels to each other. It never reads an octet of the network.
 *
 * Signals: SIGTERM, SIGINT: what is acknowledged is finished, everything ends within seconds (twice: at once).
 *          SIGHUP: the configuration and its certificates are read again; no session is dropped.
 */
struct supervisor_params {
    const char *config_file;                 /* `serve`; NULL: the text below (`local`) */
    slice config_text;                       /* borrowed for the whole run */
    const char *config_name, *config_folder; /* with config_text: for mistakes, for relative names */
    bool users_are_optional; /* `local`: when the system users do not exist, everything runs as the caller */
};
/* Returns the exit code. Prints one line `ready` on stdout when all listeners accept. */
int supervisor_run(const struct supervisor_params *);
