#pragma once
#include "deliver/connection.h"
/*
 * host_walk - the hosts of a destination, one address after the other, in the order in which they are to be tried (RFC
 * 5321 §5.1): by preference, all addresses of a host before the next host.
 *
 * The hosts of one preference are looked up together before the first of them is tried: if we are among them, they and
 * all behind them are left out (§5.1), or mail would run in circles.
 *
 *     while ((step = host_walk_next(&walk, &host)) == WALK_HOST)   // try it
 *     WALK_WAIT: `ready` comes when it is worth asking again;  WALK_END: see `failure`
 */
enum { WALK_ADDRESSES_MAX = 12, WALK_HOSTS_MAX = 20 }; /* a domain must not make us knock at a hundred doors */
enum walk_step { WALK_HOST, WALK_WAIT, WALK_END };
struct walk_host {
    slice name;             /* the host's name, for the certificate and people; an address where there is no name */
    struct address address; /* with port */
    const char *unix_path;  /* instead of address */
};
struct host_walk {
    struct connection *connection; /* whose destination it is */
    loop_function *ready;
    void *context;
    struct dns_question *question;
    enum { HOSTS_UNKNOWN, HOSTS_ASKED, HOSTS_KNOWN } state;
    struct dns_mx hosts[WALK_HOSTS_MAX];
    size_t host_count, next_host;
    size_t group_end; /* hosts before it are of one preference with next_host */
    struct walk_host found[WALK_ADDRESSES_MAX];
    size_t found_count, next_found, tried;
    struct outcome failure; /* why there is nothing (more) to try; ACTION_NONE: hosts were tried */
};
void host_walk_start(struct host_walk *, struct connection *, loop_function *ready, void *context);
enum walk_step host_walk_next(struct host_walk *, struct walk_host *);
void host_walk_cancel(struct host_walk *);
