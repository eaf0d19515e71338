#include "base/heap.h"
#include "base/random.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { NODES = 2000 };

static void sorts(void **state)
{
    (void)state;
    static struct heap_node nodes[NODES];
    struct heap heap = { 0 };
    for (size_t i = 0; i < NODES; i++)
        heap_set(&heap, &nodes[i], random_below(500));
    for (size_t i = 0; i < NODES; i += 3) /* moved both ways */
        heap_set(&heap, &nodes[i], random_below(500));
    for (size_t i = 0; i < NODES; i += 5) {
        heap_remove(&heap, &nodes[i]);
        heap_remove(&heap, &nodes[i]);
        assert_false(heap_has(&nodes[i]));
    }
    assert_int_equal(heap.count, NODES - NODES / 5);
    uint64_t before = 0;
    size_t count = 0;
    for (struct heap_node *node; (node = heap_take_first(&heap)); count++) {
        assert_true(node->key >= before);
        assert_false(heap_has(node));
        before = node->key;
    }
    assert_int_equal(count, NODES - NODES / 5);
    heap_free(&heap);
}

static void is_empty_at_first(void **state)
{
    (void)state;
    struct heap heap = { 0 };
    struct heap_node node = { 0 };
    assert_null(heap_first(&heap));
    assert_null(heap_take_first(&heap));
    heap_remove(&heap, &node);
    heap_set(&heap, &node, UINT64_MAX);
    assert_ptr_equal(heap_first(&heap), &node);
    heap_free(&heap);
    assert_false(heap_has(&node));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(sorts), cmocka_unit_test(is_empty_at_first) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
