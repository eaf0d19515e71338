#pragma once
#include "base/slice.h"
/* pipe - `sendmail -bs`: standard input and output speak SMTP with the server, over a control socket after `submit`. */
bool pipe_submission(int control_socket);
