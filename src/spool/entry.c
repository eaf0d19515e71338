#include "spool/entry.h"
#include "base/memory.h"

/* What is copied below must be complete: who adds a field with octets of its own comes by here. */
_Static_assert(sizeof(struct envelope) == 21 * 8, "entry_new copies every slice of the envelope");
_Static_assert(sizeof(struct recipient) == 11 * 8, "entry_new copies every slice of a recipient");
_Static_assert(sizeof(struct outcome) == 12 * 8, "entry_set_outcome copies every slice of an outcome");

/* Numbers and lengths in the encoded form: at most 10 octets each. */
enum { ENVELOPE_FRAME = 160, RECIPIENT_FRAME = 64 };

/* Runs over all slices of an envelope: once to count, once to copy. */
struct packer {
    char *to; /* NULL: only count */
    size_t octets;
};

static void pack(struct packer *packer, slice *s)
{
    if (packer->to && s->len) {
        memcpy(packer->to + packer->octets, s->ptr, s->len);
        s->ptr = packer->to + packer->octets;
    }
    packer->octets += s->len;
}

static void pack_path(struct packer *packer, struct path *path)
{
    pack(packer, &path->local_part);
    pack(packer, &path->domain);
}

static bool is_same_path(struct path a, struct path b)
{
    return slice_eq(a.local_part, b.local_part) && slice_eq(a.domain, b.domain);
}

static void pack_recipient(struct packer *packer, struct recipient *r)
{
    bool is_same = is_same_path(r->forward_path, r->original);
    pack_path(packer, &r->forward_path);
    if (is_same)
        r->original = r->forward_path;
    else
        pack_path(packer, &r->original);
    pack(packer, &r->original_recipient);
}

static void pack_envelope(struct packer *packer, struct envelope *e)
{
    pack_path(packer, &e->reverse_path);
    pack(packer, &e->envelope_id);
    pack(packer, &e->account);
    pack(packer, &e->client_name);
    pack(packer, &e->client_address);
    pack(packer, &e->helo);
    pack(packer, &e->listener);
}

static size_t count_octets(const struct envelope *from)
{
    struct packer counter = { 0 };
    struct envelope e = *from;
    pack_envelope(&counter, &e);
    for (size_t i = 0; i < from->recipient_count; i++) {
        struct recipient r = from->recipients[i];
        pack_recipient(&counter, &r);
    }
    return counter.octets;
}

struct entry *entry_new(uint64_t id, const struct envelope *from)
{
    size_t n = from->recipient_count;
    const size_t each = sizeof(struct spool_recipient) + sizeof(struct recipient) + sizeof(void *);
    size_t fixed = sizeof(struct entry) + sizeof(struct envelope) + n * each;
    size_t packed = count_octets(from);
    char *block = memory_resize(NULL, fixed + packed);
    memset(block, 0, fixed);

    struct entry *entry = (struct entry *)(void *)block;
    struct envelope *envelope = (struct envelope *)(void *)(block + sizeof(*entry));
    struct spool_recipient *states = (struct spool_recipient *)(void *)(envelope + 1);
    struct recipient *recipients = (struct recipient *)(void *)(states + n);
    entry->outcome_memory = (void **)(void *)(recipients + n);
    struct packer packer = { .to = block + fixed };
    *envelope = *from;
    pack_envelope(&packer, envelope);
    if (n)
        memcpy(recipients, from->recipients, n * sizeof(*recipients));
    for (size_t i = 0; i < n; i++)
        pack_recipient(&packer, &recipients[i]);
    envelope->recipients = recipients;
    entry->message =
        (struct spool_message){ .id = id, .envelope = envelope, .recipients = states, .open_recipients = n };
    entry->untried = n;
    entry->envelope_octets_max = (uint32_t)size_min(packed + ENVELOPE_FRAME + n * RECIPIENT_FRAME, UINT32_MAX);
    entry->large_fd = -1;
    list_init(&entry->in_segment);
    list_init(&entry->resident);
    return entry;
}

struct outcome outcome_shortened(const struct outcome *from, size_t text_max)
{
    struct outcome o = *from;
    o.text = slice_head(o.text, text_max);
    o.remote_name = slice_head(o.remote_name, text_max);
    o.remote_address = slice_head(o.remote_address, text_max);
    o.tls = slice_head(o.tls, text_max);
    return o;
}

void entry_set_outcome(struct entry *entry, size_t recipient, const struct outcome *from)
{
    struct outcome *to = &entry->message.recipients[recipient].last;
    struct outcome o = outcome_shortened(from, OUTCOME_TEXT_MAX);
    size_t octets = o.text.len + o.remote_name.len + o.remote_address.len + o.tls.len;
    /* the old octets go last: the caller may hand us our own outcome */
    void *old = entry->outcome_memory[recipient];
    struct packer packer = { .to = octets ? memory_resize(NULL, octets) : NULL };
    pack(&packer, &o.text);
    pack(&packer, &o.remote_name);
    pack(&packer, &o.remote_address);
    pack(&packer, &o.tls);
    *to = o;
    entry->outcome_memory[recipient] = packer.to;
    memory_free(old);
}

void entry_free(struct entry *entry)
{
    if (!entry)
        return;
    for (size_t i = 0; i < entry->message.envelope->recipient_count; i++)
        memory_free(entry->outcome_memory[i]);
    memory_free(entry->content);
    memory_free(entry);
}
