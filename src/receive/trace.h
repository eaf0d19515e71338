#pragma once
#include "receive/session.h"
/* trace - the events of receive/ (event/events.def), each made in one place. */
void trace_session_started(const struct session *);
void trace_session_ended(const struct session *, const char *reason);
void trace_session_refused(const struct receive_listener *, const struct address *client, enum reply_name);
void trace_command_refused(const struct session *, enum reply_name);
void trace_recipient_refused(const struct session *, struct path forward_path, enum reply_name);
void trace_message_refused(const struct session *, enum reply_name);
void trace_message_received(const struct session *, const struct spool_message *);
void trace_sign_in_succeeded(const struct session *, slice mechanism);
void trace_sign_in_failed(const struct session *, slice account, slice mechanism, const char *reason);
