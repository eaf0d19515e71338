#pragma once
#include "base/compiler.h"
/*
 * heap - intrusive binary min-heap by a 64-bit key (a due time). The node stands in the item and knows its
 * place, so that removing or moving any item is O(log n). {0} is a valid empty heap / node outside a heap.
 */
struct heap_node {
    uint64_t key;
    size_t place; /* 1-based; 0: not in a heap */
};
struct heap {
    struct heap_node **nodes;
    size_t count, capacity;
};
static inline bool heap_has(const struct heap_node *node) { return node->place != 0; }
/* Puts the node in, or moves it where it stands already. */
void heap_set(struct heap *, struct heap_node *, uint64_t key);
void heap_remove(struct heap *, struct heap_node *); /* harmless when not in a heap */
static inline struct heap_node *heap_first(const struct heap *heap) { return heap->count ? heap->nodes[0] : NULL; }
struct heap_node *heap_take_first(struct heap *);
void heap_free(struct heap *);
