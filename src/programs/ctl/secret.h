#pragma once
#include "base/text.h"
/*
 * secret - passwords from a person or a program. What is read belongs to the caller, who wipes it.
 */
enum { SECRET_MAX = 1024 };
/* The first line of a descriptor, without its end. */
MUST_CHECK bool secret_read_line(int fd, struct text *secret, struct text *error);
MUST_CHECK bool secret_read_file(const char *file, struct text *secret, struct text *error);
/* On the terminal, not shown. False without a terminal, or when both differ. `again` NULL: asked once. */
MUST_CHECK bool secret_ask_twice(const char *question, const char *again, struct text *secret, struct text *error);
