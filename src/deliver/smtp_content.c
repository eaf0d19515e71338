#include "base/memory.h"
#include "deliver/smtp_client.h"
#include "deliver/verdict.h"
#include "io/work.h"
#include <errno.h>
#include <unistd.h>
/*
 * smtp_content - the octets of a message on their way out: straight from the spool's memory when no line begins with a
 * dot, else with the dots doubled (RFC 5321 §4.5.2); large ones from their file, piece by piece, as the network takes
 * them.
 */
enum { PIECE_OCTETS = 128 * 1024, PENDING_MAX = 256 * 1024 };

struct content_loan {
    struct spool *spool;
    struct spool_message *message;
    struct smtp_client *client; /* NULL: the transaction is over */
    unsigned users;             /* the transaction, a load, a read, a write each count one */
    bool is_loaded;
    struct spool_content content;
    struct dot_writer dots;
    /* a large content's file */
    uint64_t offset;
    bool waits_for_network;
    char *piece;
    ssize_t piece_octets;
};

static void loan_put(void *context)
{
    struct content_loan *loan = context;
    if (--loan->users > 0)
        return;
    if (loan->is_loaded)
        spool_release(loan->spool, loan->message);
    memory_free(loan->piece);
    memory_free(loan);
}

void smtp_content_drop(struct smtp_transaction *t)
{
    struct content_loan *loan = t->loan;
    t->loan = NULL;
    if (!loan)
        return;
    loan->client = NULL;
    loan_put(loan);
}

/* The final dot, and the next message's commands in the same write. */
static void finish_content(struct smtp_client *c)
{
    struct smtp_transaction *t = c->current;
    stream_write(c->stream, dot_writer_end(&t->loan->dots));
    t->content_is_sent = true;
    c->content_sent_ms = loop_now_ms(smtp_loop(c));
    smtp_enter(c, STEP_CONTENT);
    smtp_take_ahead(c);
}

static void write_runs(struct smtp_client *c, struct content_loan *loan, slice octets)
{
    slice run;
    while (dot_writer_next(&loan->dots, &octets, &run))
        stream_write(c->stream, run);
}

static void send_from_memory(struct smtp_client *c, struct content_loan *loan)
{
    slice octets = loan->content.octets, rest = octets, run;
    struct dot_writer dots = loan->dots;
    if (dot_writer_next(&dots, &rest, &run) && run.ptr == octets.ptr && run.len == octets.len) {
        loan->dots = dots;
        loan->users++;
        stream_write_shared(c->stream, octets, loan_put, loan);
    } else {
        write_runs(c, loan, octets);
    }
    finish_content(c);
}

/* --- from a file --- */

/* No final dot may follow, so the connection ends too. */
static void cannot_read(struct smtp_client *c, enum spool_result result)
{
    if (result == SPOOL_DAMAGED)
        smtp_lost(c, verdict_failed(STAGE_CONTENT, 3, 0,
                                    SLICE("the content of the message is damaged on this server's disk")));
    else
        smtp_lost(c, verdict_delayed(STAGE_CONTENT, 3, 0, SLICE("the message could not be read from the spool")));
}

static void read_piece(void *context)
{
    struct content_loan *loan = context;
    size_t octets = PIECE_OCTETS;
    if (loan->content.file_octets - loan->offset < octets)
        octets = (size_t)(loan->content.file_octets - loan->offset);
    do
        loan->piece_octets = pread(loan->content.fd, loan->piece, octets, (off_t)loan->offset);
    while (loan->piece_octets < 0 && errno == EINTR);
}

static void piece_is_read(void *context);

static void read_more(struct content_loan *loan)
{
    loan->waits_for_network = false;
    if (!loan->piece)
        loan->piece = memory_new(PIECE_OCTETS);
    loan->users++;
    smtp_enter(loan->client, STEP_CONTENT);
    work_run(smtp_loop(loan->client), WORK_DISK, read_piece, piece_is_read, loan);
}

static void piece_is_read(void *context)
{
    struct content_loan *loan = context;
    struct smtp_client *c = loan->client;
    if (!c) {
        loan_put(loan);
        return;
    }
    loan_put(loan); /* the transaction still holds it */
    if (loan->piece_octets <= 0) {
        cannot_read(c, SPOOL_BROKEN);
        return;
    }
    loan->offset += (uint64_t)loan->piece_octets;
    write_runs(c, loan, slice_from(loan->piece, (size_t)loan->piece_octets));
    if (loan->offset == loan->content.file_octets)
        finish_content(c);
    else if (stream_pending(c->stream) < PENDING_MAX)
        read_more(loan);
    else
        loan->waits_for_network = true;
}

void smtp_content_drained(struct smtp_client *c)
{
    if (c->current && c->current->loan && c->current->loan->waits_for_network)
        read_more(c->current->loan);
}

/* --- loading --- */

static void send_loaded(struct smtp_client *c, struct content_loan *loan)
{
    loan->is_loaded = true;
    if (loan->content.fd >= 0 && loan->content.file_octets > 0)
        read_more(loan);
    else
        send_from_memory(c, loan);
}

static void on_loaded(void *context, enum spool_result result, const struct spool_content *content)
{
    struct content_loan *loan = context;
    struct smtp_client *c = loan->client;
    if (result == SPOOL_OK) {
        loan->content = *content;
        loan->is_loaded = true;
    }
    loan_put(loan);
    if (!c)
        return; /* freed, if the transaction was the other user */
    if (result == SPOOL_OK)
        send_loaded(c, loan);
    else
        cannot_read(c, result);
}

void smtp_send_content(struct smtp_client *c)
{
    struct content_loan *loan = MEMORY_NEW(struct content_loan);
    struct spool *spool = c->base.deliverer->doors.spool;
    *loan = (struct content_loan){ .spool = spool, .message = c->current->task->message, .client = c, .users = 1 };
    c->current->loan = loan;
    if (spool_load(spool, loan->message, &loan->content, on_loaded, loan)) {
        send_loaded(c, loan);
    } else {
        loan->users++;
        smtp_enter(c, STEP_CONTENT);
    }
}
