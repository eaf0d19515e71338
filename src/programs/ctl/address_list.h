#pragma once
#include "base/text.h"
/*
 * address_list - the mailboxes of a To:, Cc: or Bcc: field, or of a command line, in turn (RFC 5322 §3.4, and what
 * people write). Display names, comments, group names and source routes are left out; quoting of a local part is kept.
 * What comes out is not checked yet: it may lack a domain or be no mailbox at all.
 */
/* The next one, added to *mailbox; false at the end of *rest. */
MUST_CHECK bool address_list_next(slice *rest, struct text *mailbox);
