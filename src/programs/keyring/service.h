#pragma once
#include "event/event.h"
#include "io/stream.h"
#include "programs/keyring/roster.h"
/*
 * service - the accounts socket: `postrider user` of the running server (programs/ctl/protocol.h, account_*). Only root
 * and this process's own user are answered. A change is in the store before it is answered.
 */
struct service;
struct service_doors { /* all borrowed */
    struct loop *loop;
    struct event_log *events;
    struct accounts *accounts;
    struct roster *roster;
    void (*changed)(void *context); /* the names are others now */
    void *context;
};
struct service *service_new(const struct service_doors *, int listener_fd); /* takes the descriptor */
void service_free(struct service *);
