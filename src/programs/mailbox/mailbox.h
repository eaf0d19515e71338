#pragma once
/*
 * mailbox - the process that owns the mail stores: takes messages from mta's loops and keeps them in Maildirs,
 * mail/DOMAIN/NAME/ below DIR. It has no network.
 */
int mailbox_main(int supervisor_fd);
