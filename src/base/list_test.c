#include "base/list.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct item {
    int number;
    struct list node;
};

static void keeps_order(void **state)
{
    (void)state;
    struct list head;
    struct item items[5] = { 0 };
    list_init(&head);
    assert_null(list_first(&head));
    assert_null(list_take_first(&head));
    for (int i = 1; i < 5; i++) {
        items[i].number = i;
        assert_false(list_is_linked(&items[i].node));
        list_append(&head, &items[i].node);
    }
    list_prepend(&head, &items[0].node);
    int wanted = 0;
    LIST_EACH(&head, node)
    assert_int_equal(LIST_ITEM(node, struct item, node)->number, wanted++);
    assert_int_equal(wanted, 5);
    LIST_EACH(&head, node)
    if (LIST_ITEM(node, struct item, node)->number % 2)
        list_remove(node);
    assert_false(list_is_linked(&items[1].node));
    list_remove(&items[1].node); /* harmless */
    for (wanted = 0; wanted < 5; wanted += 2)
        assert_int_equal(LIST_ITEM(list_take_first(&head), struct item, node)->number, wanted);
    assert_true(list_is_empty(&head));
}

static void never_linked_may_be_removed(void **state)
{
    (void)state;
    struct item item = { 0 };
    list_remove(&item.node);
    assert_false(list_is_linked(&item.node));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(keeps_order), cmocka_unit_test(never_linked_may_be_removed) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
