#pragma once
#include "base/text.h"
/*
 * maildir - delivery into Maildirs: written whole into tmp/, synced, moved to new/, the folder synced; only then is it
 * delivered. Names are unique by time, message id, recipient and host; nobody needs a lock
 * (https://cr.yp.to/proto/maildir.html). A message that is in new/ or cur/ under its name already (we were killed
 * before we could say so) is not stored again.
 *
 * The messages of one call that go to the same mailbox share the sync of its folder.
 * Threads: a struct maildir_batch belongs to one thread.
 */
enum maildir_result {
    MAILDIR_OK,
    MAILDIR_TEMPORARY, /* no space, quota, an I/O error: try again later */
    MAILDIR_BAD_NAME,  /* this name can never be a folder: permanent */
};
struct maildir_message {
    slice name; /* of this copy, without the host: the same at each attempt, unlike any other copy's */
    slice domain, local_part;
    slice head;    /* put before the content: Return-Path:, Delivered-To:; CRLF lines */
    slice content; /* CRLF lines; stored with LF, as Maildirs are */
    int file;      /* content in a file instead, or -1; not closed here */
    uint64_t file_octets;
    enum maildir_result result;
    struct text text; /* why not; on success the name of the file below mail/ */
};
struct maildir_batch {
    int root; /* the folder "mail" */
    const char *host;
};
/* Stores each message and syncs files and folders; fills result and text of each. */
void maildir_store(const struct maildir_batch *, struct maildir_message *const *messages, size_t count);
/* Files in tmp/ older than 36 hours are left-overs of crashes: removes them in every Maildir. */
void maildir_remove_leftovers(int root, uint64_t now_ms);
