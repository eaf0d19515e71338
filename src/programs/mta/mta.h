#pragma once
/*
 * mta - the process that speaks SMTP: accepts, spools, schedules and delivers. One thread and one loop per configured
 * loop, each with its own listeners, journal, queues and connections, sharing nothing but immutable snapshots
 * (configuration, directory, TLS contexts) and the resolver. wire.c joins the stages of a loop.
 */
int mta_main(int supervisor_fd);
