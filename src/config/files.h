#pragma once
#include "config/config.h"
/* files - what the configuration reads from disk besides itself. Private to config/. */

enum { CONFIG_FILE_MAX = 32 * 1024 * 1024, SECRET_FILE_MAX = 64 * 1024, CONTENT_FILE_MAX = 32 * 1024 * 1024 };

/* The whole of a regular file (or a pipe's) of at most `limit` octets. False: *why says so for people, `to` is empty.
 */
MUST_CHECK bool file_read(const char *path, size_t limit, struct text *to, struct text *why);
/* Overwritten before it is given back: it may have held secrets. */
void text_wipe_free(struct text *);
/* `path` below `folder` unless it is absolute. */
slice path_below(struct arena *, slice folder, slice path);
/* "/etc/postrider/" of "/etc/postrider/postrider.yaml"; empty where there is no '/'. */
slice path_folder(slice path);

/* Of a PEM file only its blocks: what stands between them (often in another encoding) is for people. */
void text_add_pem_blocks(struct text *, slice pem);
