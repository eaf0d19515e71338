#pragma once
#include "config/config.h"
/* certificate - where the configuration names none, a self-signed one in DIR/keys/self-signed.pem (made once), so that
 * STARTTLS and AUTH work from the first minute. Fills config->tls.certificate_pem of a snapshot not yet shared. */
MUST_CHECK bool certificate_provide(struct config *, struct text *error);
