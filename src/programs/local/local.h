#pragma once
#include "base/text.h"
/*
 * local - `postrider local`: a complete server from flags alone. The flags become the text of a configuration file;
 * what runs it is the same as for `postrider serve`.
 */

/* False: the command ends now with *code: help or --print-config was printed (0), or every mistake was explained on
 * stderr (64). */
MUST_CHECK bool local_make_config(int argc, char **argv, struct text *yaml, int *code);
