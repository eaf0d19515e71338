#pragma once
#include "ipc/ipc.h"
/*
 * keyring_client - one loop's side of the channel to keyring: asks whether passwords are right, hears the account
 * names. While keyring is away every question is answered "temporarily not known".
 */
struct keyring_client;
struct keyring_client *keyring_client_new(struct loop *);
/* `accounts` is called for each list of names that arrives (owned by the caller's channel: lives for the call). */
void keyring_client_on_accounts(struct keyring_client *, void (*accounts)(void *context, slice names), void *context);
void keyring_client_connect(struct keyring_client *, int fd); /* replaces the channel of before */
/* For receive/: see struct receive_doors. The answer never comes inside the call. */
void *keyring_client_verify(void *client, slice name, slice password,
                            void (*answer)(void *context, bool ok, bool temporary, slice account), void *context);
void keyring_client_cancel(void *client, void *request);
void keyring_client_free(struct keyring_client *);
