#pragma once
#include "base/text.h"
/* input - what commands read whole. At most INPUT_OCTETS_MAX, false with *error otherwise. */
#define INPUT_OCTETS_MAX ((size_t)1 << 30)
MUST_CHECK bool input_read_file(const char *name, struct text *content, struct text *error);
MUST_CHECK bool input_read_descriptor(int fd, const char *name, struct text *content, struct text *error);
/* The machine's own full name where it has one, else its short name. */
void text_add_hostname(struct text *);
/* Whose mail it is: the text of /etc/mailname, else the host's name. */
void text_add_mailname(struct text *);
