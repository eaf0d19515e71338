#pragma once
#include "directory/directory.h"
#include "event/event.h"
#include "smtp/outcome.h"
#include "spool/spool.h"
/*
 * reports - delivery status notifications on their way: loads what a report quotes, lets report/ write it, commits it
 * like any other message and hands it to the schedule. What to say is report/'s; when is schedule/'s.
 */
struct reports;
struct reports *reports_new(struct loop *, struct spool *, struct event_log *);
void reports_set_accepted(struct reports *, void (*accepted)(void *schedule, struct spool_message *), void *schedule);
void reports_configure(struct reports *, slice hostname, struct directory *); /* hostname copied, directory held */
/* struct schedule_doors.report. The message stays live until `done`. */
void reports_make(void *reports, int kind, struct spool_message *, const uint32_t *recipients,
                  const struct outcome *outcomes, size_t count, uint64_t give_up_ms,
                  void (*done)(void *context, bool ok), void *context);
void reports_free(struct reports *);
