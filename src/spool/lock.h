#pragma once
#include "base/text.h"
/* lock - one server at a time on a spool folder. */
/* The folder, made when missing; -1 and *error when it cannot be used by this user. */
int spool_open_folder(const char *dir, struct text *error);
/* The lock's descriptor, held until it is closed or the process ends; -1 and *error when another has it. */
int spool_lock(int folder, const char *dir, struct text *error);
