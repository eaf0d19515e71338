#include "receive/transaction.h"
#include "base/memory.h"
#include "receive/receiver.h"

enum { SPARE_MAX = 256, SPARE_OCTETS_MAX = 16 * 1024 };

struct transaction *transaction_begin(struct receiver *r)
{
    struct list *spare = list_take_first(&r->spare_transactions);
    if (!spare)
        return MEMORY_NEW(struct transaction);
    r->spare_transaction_count--;
    return LIST_ITEM(spare, struct transaction, spare);
}

static void transaction_free(struct transaction *tx)
{
    arena_free(&tx->memory);
    memory_free(tx);
}

void transaction_end(struct receiver *r, struct transaction *tx)
{
    if (tx->draft)
        spool_abandon(tx->draft);
    map_free(&tx->recipients);
    text_free(&tx->held_back);
    if (r->spare_transaction_count >= SPARE_MAX || tx->memory.used_octets > SPARE_OCTETS_MAX) {
        transaction_free(tx);
        return;
    }
    struct arena memory = tx->memory;
    arena_reset(&memory);
    *tx = (struct transaction){ .memory = memory };
    list_prepend(&r->spare_transactions, &tx->spare);
    r->spare_transaction_count++;
}

void transaction_free_spare(struct receiver *r)
{
    for (struct list *spare; (spare = list_take_first(&r->spare_transactions));)
        transaction_free(LIST_ITEM(spare, struct transaction, spare));
    r->spare_transaction_count = 0;
}

/* What makes two forward-paths the same: the domain without case, the local part without its quoting (RFC 5321 §2.4).
 */
static void add_address_key(struct text *key, struct path path)
{
    for (size_t i = 0; i < path.domain.len; i++)
        text_add_byte(key, ascii_lower(path.domain.ptr[i]));
    text_add_byte(key, '@');
    path_add_unquoted_local_part(key, path);
}

static struct recipient *new_recipient(struct transaction *tx)
{
    struct envelope *envelope = &tx->envelope;
    if (envelope->recipient_count == tx->recipient_capacity) {
        size_t capacity = size_max(tx->recipient_capacity * 2, 4);
        struct recipient *larger = ARENA_NEW_ARRAY(&tx->memory, struct recipient, capacity);
        if (envelope->recipient_count > 0)
            memcpy(larger, envelope->recipients, envelope->recipient_count * sizeof(*larger));
        envelope->recipients = larger;
        tx->recipient_capacity = capacity;
    }
    return &envelope->recipients[envelope->recipient_count++];
}

void transaction_add_recipient(struct transaction *tx, struct path forward_path, const struct recipient *like)
{
    struct text key = { 0 };
    add_address_key(&key, forward_path);
    if (!map_get(&tx->recipients, text_slice(&key))) {
        map_set(&tx->recipients, arena_copy(&tx->memory, text_slice(&key)), tx);
        struct recipient *recipient = new_recipient(tx);
        *recipient = *like;
        recipient->forward_path = forward_path;
    }
    text_free(&key);
}
