#include "programs/mta/keyring_client.h"
#include "base/list.h"
#include "base/map.h"
#include "base/memory.h"

struct question {
    struct list node; /* among `unheard` while it waits to be told that keyring is away */
    uint64_t number;
    void (*answer)(void *context, bool ok, bool temporary, slice account); /* NULL: cancelled */
    void *context;
};

struct keyring_client {
    struct loop *loop;
    struct ipc_channel *channel; /* NULL: keyring is away */
    struct id_map questions;     /* asked and not answered yet */
    struct list unheard;
    struct timer tell_unheard;
    uint64_t last_number;
    void (*accounts)(void *context, slice names);
    void *accounts_context;
};

struct keyring_client *keyring_client_new(struct loop *loop)
{
    struct keyring_client *client = MEMORY_NEW(struct keyring_client);
    client->loop = loop;
    list_init(&client->unheard);
    return client;
}

void keyring_client_on_accounts(struct keyring_client *client, void (*accounts)(void *context, slice names),
                                void *context)
{
    client->accounts = accounts;
    client->accounts_context = context;
}

static void answer_question(struct question *question, bool ok, bool temporary, slice account)
{
    if (question->answer)
        question->answer(question->context, ok, temporary, account);
    memory_free(question);
}

static void answer_unheard(void *context)
{
    struct keyring_client *client = context;
    for (struct list *node; (node = list_take_first(&client->unheard));)
        answer_question(LIST_ITEM(node, struct question, node), false, true, SLICE(""));
}

static void set_unheard(struct keyring_client *client, struct question *question)
{
    list_append(&client->unheard, &question->node);
    timer_set(client->loop, &client->tell_unheard, 0, answer_unheard, client);
}

static void on_password_verified(void *context, const struct ipc_password_verified *answer)
{
    struct keyring_client *client = context;
    struct question *question = id_map_remove(&client->questions, answer->request);
    if (question)
        answer_question(question, answer->ok, answer->temporary, answer->account);
}

static void on_accounts(void *context, const struct ipc_accounts *message)
{
    struct keyring_client *client = context;
    if (client->accounts)
        client->accounts(client->accounts_context, message->names);
}

static void disconnect(void *context)
{
    struct keyring_client *client = context;
    if (client->channel)
        ipc_channel_free(client->channel);
    client->channel = NULL;
    size_t position = 0;
    for (struct question *question; (question = id_map_next(&client->questions, &position));)
        set_unheard(client, question);
    id_map_free(&client->questions);
}

static const struct ipc_handlers handlers = {
    .password_verified = on_password_verified,
    .accounts = on_accounts,
    .end = disconnect,
};

void keyring_client_connect(struct keyring_client *client, int fd)
{
    disconnect(client);
    client->channel = ipc_channel_new(client->loop, fd, &handlers, client);
}

void *keyring_client_verify(void *context, slice name, slice password,
                            void (*answer)(void *context, bool ok, bool temporary, slice account), void *answer_context)
{
    struct keyring_client *client = context;
    struct question *question = MEMORY_NEW(struct question);
    list_init(&question->node);
    question->number = ++client->last_number;
    question->answer = answer;
    question->context = answer_context;
    if (!client->channel) {
        set_unheard(client, question);
        return question;
    }
    id_map_set(&client->questions, question->number, question);
    ipc_send_verify_password(client->channel, &(struct ipc_verify_password){
                                                  .request = question->number, .name = name, .password = password });
    return question;
}

/* It stays until its answer comes, so that keyring's answers and our numbers keep in step. */
void keyring_client_cancel(void *context, void *request)
{
    (void)context;
    struct question *question = request;
    question->answer = NULL;
}

void keyring_client_free(struct keyring_client *client)
{
    client->accounts = NULL;
    disconnect(client);
    for (struct list *node; (node = list_take_first(&client->unheard));)
        memory_free(LIST_ITEM(node, struct question, node));
    timer_clear(client->loop, &client->tell_unheard);
    memory_free(client);
}
