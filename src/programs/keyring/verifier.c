#include "programs/keyring/verifier.h"
#include "base/list.h"
#include "base/memory.h"
#include "base/random.h"
#include "io/work.h"
#include "programs/keyring/password.h"
#include <stdlib.h>
#include <unistd.h>

struct verifier {
    struct loop *loop;
    struct roster *roster;
    struct list waiting, under_way;
    size_t waiting_count, running, running_max;
    struct text nobodys_hash; /* what the password of a name that nobody has is compared with */
};

struct question {
    struct list node;
    struct verifier *verifier;
    void (*answer)(void *context, bool ok, bool temporary, slice account);
    void *context;
    slice name, password; /* both in octets */
    struct text hash;     /* while it runs */
    bool is_right;
    size_t octet_count;
    char octets[];
};

struct verifier *verifier_new(struct loop *loop, struct roster *roster)
{
    struct verifier *v = MEMORY_NEW(struct verifier);
    v->loop = loop;
    v->roster = roster;
    list_init(&v->waiting);
    list_init(&v->under_way);
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    v->running_max = processors > 0 ? (size_t)processors : 1;
    char secret[16];
    random_octets(secret, sizeof secret);
    for (size_t i = 0; i < sizeof secret; i++)
        secret[i] = (char)('a' + (secret[i] & 15));
    if (!password_make_hash(slice_from(secret, sizeof secret), &v->nobodys_hash))
        abort(); /* crypt(3) without yescrypt: no password could be checked */
    return v;
}

static void question_free(struct question *q)
{
    list_remove(&q->node);
    memory_wipe(q->octets, q->octet_count);
    text_free(&q->hash);
    memory_free(q);
}

static void question_answer(struct question *q, bool ok, bool temporary, slice account)
{
    q->answer(q->context, ok, temporary, account);
    question_free(q);
}

static void run_next(struct verifier *v);

static void hash_run(void *context)
{
    struct question *q = context;
    q->is_right = password_verify(q->password, text_slice(&q->hash));
}

/* The account may have changed meanwhile: then the answer is for a hash that is no longer its. */
static void hash_done(void *context)
{
    struct question *q = context;
    struct verifier *v = q->verifier;
    struct roster_account *account = q->is_right ? roster_find(v->roster, q->name) : NULL;
    v->running--;
    if (account && slice_eq(account->hash, text_slice(&q->hash))) {
        roster_remember(v->roster, account, q->password, loop_now_ms(v->loop));
        question_answer(q, true, false, account->address);
    } else {
        question_answer(q, false, q->is_right, (slice){ 0 });
    }
    run_next(v);
}

/* True: answered. Asked again when its turn comes: of many sessions that start at once with the same password only the
 * first pays. */
static bool answer_without_hash(struct verifier *v, struct question *q)
{
    const struct roster_account *account = roster_find(v->roster, q->name);
    if (!account || !roster_knows(v->roster, account, q->password, loop_now_ms(v->loop)))
        return false;
    question_answer(q, true, false, account->address);
    return true;
}

static void start(struct verifier *v, struct question *q)
{
    const struct roster_account *account = roster_find(v->roster, q->name);
    bool has_hash = account && password_hash_is_known(account->hash);
    text_add(&q->hash, has_hash ? account->hash : text_slice(&v->nobodys_hash));
    v->running++;
    list_append(&v->under_way, &q->node);
    work_run(v->loop, WORK_CRYPTO, hash_run, hash_done, q);
}

static void run_next(struct verifier *v)
{
    while (v->running < v->running_max && v->waiting_count) {
        struct question *q = LIST_ITEM(list_take_first(&v->waiting), struct question, node);
        v->waiting_count--;
        if (!answer_without_hash(v, q))
            start(v, q);
    }
}

void verifier_ask(struct verifier *v, slice name, slice password,
                  void (*answer)(void *context, bool ok, bool temporary, slice account), void *context)
{
    struct question *q = memory_new(sizeof(*q) + name.len + password.len);
    list_init(&q->node);
    q->verifier = v;
    q->answer = answer;
    q->context = context;
    q->octet_count = name.len + password.len;
    if (name.len)
        memcpy(q->octets, name.ptr, name.len);
    if (password.len)
        memcpy(q->octets + name.len, password.ptr, password.len);
    q->name = slice_from(q->octets, name.len);
    q->password = slice_from(q->octets + name.len, password.len);
    if (answer_without_hash(v, q))
        return;
    if (v->waiting_count >= VERIFIER_WAITING_MAX) {
        question_answer(q, false, true, (slice){ 0 });
        return;
    }
    list_append(&v->waiting, &q->node);
    v->waiting_count++;
    run_next(v);
}

bool verifier_is_idle(const struct verifier *v) { return !v->running && !v->waiting_count; }

void verifier_free(struct verifier *v)
{
    for (struct list *node; (node = list_take_first(&v->waiting)) || (node = list_take_first(&v->under_way));)
        question_free(LIST_ITEM(node, struct question, node));
    text_free(&v->nobodys_hash);
    memory_free(v);
}
