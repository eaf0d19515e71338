#pragma once
#include "base/compiler.h"
/*
 * list - intrusive doubly linked list. The node stands in the item; CONTAINER_OF finds the item.
 * A list head and a free node are both "alone": pointing at themselves.
 */
struct list {
    struct list *next, *previous;
};

static inline void list_init(struct list *node) { node->next = node->previous = node; }
static inline bool list_is_empty(const struct list *head) { return head->next == head; }
static inline bool list_is_linked(const struct list *node) { return node->next && node->next != node; }
static inline void list_insert_before(struct list *place, struct list *node)
{
    node->next = place;
    node->previous = place->previous;
    place->previous->next = node;
    place->previous = node;
}
static inline void list_append(struct list *head, struct list *node) { list_insert_before(head, node); }
static inline void list_prepend(struct list *head, struct list *node) { list_insert_before(head->next, node); }
/* Takes the node out (harmless for one that is alone) and leaves it alone. */
static inline void list_remove(struct list *node)
{
    if (!node->next)
        return;
    node->previous->next = node->next;
    node->next->previous = node->previous;
    list_init(node);
}
static inline struct list *list_first(const struct list *head) { return list_is_empty(head) ? NULL : head->next; }
/* Removes and returns the first node; NULL from an empty list. */
static inline struct list *list_take_first(struct list *head)
{
    struct list *first = list_first(head);
    if (first)
        list_remove(first);
    return first;
}
#define LIST_ITEM(node, type, member) CONTAINER_OF(node, type, member)
/* The body may remove `node` itself, but not the one after it. */
#define LIST_EACH(head, node)                                                                                          \
    for (struct list *node = (head)->next, *node##_next = node->next; node != (head);                                  \
         node = node##_next, node##_next = node->next)
