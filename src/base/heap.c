#include "base/heap.h"
#include "base/memory.h"

enum { HEAP_SMALLEST = 64 };

static void put(struct heap *heap, size_t index, struct heap_node *node)
{
    heap->nodes[index] = node;
    node->place = index + 1;
}

static void move_up(struct heap *heap, size_t index)
{
    struct heap_node *node = heap->nodes[index];
    while (index > 0) {
        size_t parent = (index - 1) / 2;
        if (heap->nodes[parent]->key <= node->key)
            break;
        put(heap, index, heap->nodes[parent]);
        index = parent;
    }
    put(heap, index, node);
}

static void move_down(struct heap *heap, size_t index)
{
    struct heap_node *node = heap->nodes[index];
    for (;;) {
        size_t child = index * 2 + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && heap->nodes[child + 1]->key < heap->nodes[child]->key)
            child++;
        if (node->key <= heap->nodes[child]->key)
            break;
        put(heap, index, heap->nodes[child]);
        index = child;
    }
    put(heap, index, node);
}

void heap_set(struct heap *heap, struct heap_node *node, uint64_t key)
{
    if (!heap_has(node)) {
        if (heap->count == heap->capacity) {
            heap->capacity = size_max(heap->capacity * 2, HEAP_SMALLEST);
            heap->nodes = memory_resize(heap->nodes, heap->capacity * sizeof(struct heap_node *));
        }
        put(heap, heap->count++, node);
    }
    assert(heap->nodes[node->place - 1] == node);
    node->key = key;
    move_up(heap, node->place - 1);
    move_down(heap, node->place - 1);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    if (!heap_has(node))
        return;
    size_t index = node->place - 1;
    assert(index < heap->count && heap->nodes[index] == node);
    struct heap_node *last = heap->nodes[--heap->count];
    node->place = 0;
    if (last == node)
        return;
    put(heap, index, last);
    move_up(heap, index);
    move_down(heap, last->place - 1);
}

struct heap_node *heap_take_first(struct heap *heap)
{
    struct heap_node *first = heap_first(heap);
    if (first)
        heap_remove(heap, first);
    return first;
}

void heap_free(struct heap *heap)
{
    for (size_t i = 0; i < heap->count; i++)
        heap->nodes[i]->place = 0;
    memory_free(heap->nodes);
    *heap = (struct heap){ 0 };
}
