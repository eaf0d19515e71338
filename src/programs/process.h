#pragma once
#include "config/config.h"
#include "event/event.h"
#include "io/loop.h"
#include "ipc/ipc.h"
/*
 * process - what our child processes have in common: how the supervisor starts them, how they get the configuration,
 * where things stand in DIR.
 *
 * A child is this same binary, started as `postrider --process ROLE`: its working folder is DIR (names are relative:
 * a folder above DIR may be closed to its user), descriptor 3 is its channel to the supervisor, stderr is the
 * readable log. It confines itself, then obeys: configure, peer, listen, begin; it answers ready or failed.
 */
enum {
    PROCESS_CHANNEL_FD = 3,
    PROCESS_LOCK_FD = 4, /* held, not used: DIR stays locked until the last process has ended */
};

/* Folders below DIR and who owns them. */
#define FOLDER_SPOOL    "spool"    /* mta: one journal a loop, spool/0, spool/1... */
#define FOLDER_MAIL     "mail"     /* mailbox: mail/DOMAIN/NAME/{tmp,new,cur} */
#define FOLDER_ACCOUNTS "accounts" /* keyring: accounts.db */
#define FOLDER_KEYS     "keys"     /* supervisor alone */
#define FOLDER_LOG      "log"      /* supervisor; log/mta, log/keyring, log/mailbox are theirs */
#define FOLDER_RUN      "run"      /* supervisor: control.sock, accounts.sock, lock */

/* The snapshot that a `configure` message carries; takes its descriptor. NULL and *error when it cannot be read. */
MUST_CHECK struct config *process_read_config(const struct ipc_configure *, struct text *error);
/* Opens the event log of a child, "log/ROLE/events-NAME.jsonl" (role "": "log/events-NAME.jsonl"), timed by the loop's
 * clock; NULL and *error on failure. */
MUST_CHECK struct event_log *process_open_log(const char *role, const char *name, const struct config *, struct loop *,
                                              struct text *error);
void process_configure_log(struct event_log *, const struct config *);
/* Tells the supervisor and ends the process: for a start that fails. */
NORETURN void process_fail(struct ipc_channel *, slice text);
