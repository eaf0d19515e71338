#include "base/map.h"
#include "base/random.h"
#include "base/text.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { ITEMS = 3000 };
struct item {
    char name[24];
    size_t len;
    bool is_in, is_seen;
};
static struct item items[ITEMS];

static slice item_key(const struct item *item) { return slice_from(item->name, item->len); }

static void prepare(void)
{
    struct text t = { 0 };
    for (size_t i = 0; i < ITEMS; i++) {
        text_clear(&t);
        text_add_format(&t, "%zu@example.org", i);
        items[i] = (struct item){ .len = t.len };
        memcpy(items[i].name, t.ptr, t.len);
    }
    text_free(&t);
}

static void keeps_what_was_set(void **state)
{
    (void)state;
    struct map map = { 0 };
    prepare();
    size_t count = 0;
    for (size_t step = 0; step < 20 * ITEMS; step++) {
        struct item *item = &items[random_below(ITEMS)];
        assert_ptr_equal(map_get(&map, item_key(item)), item->is_in ? item : NULL);
        if (random_below(2)) {
            assert_ptr_equal(map_set(&map, item_key(item), item), item->is_in ? item : NULL);
            count += !item->is_in;
            item->is_in = true;
        } else {
            assert_ptr_equal(map_remove(&map, item_key(item)), item->is_in ? item : NULL);
            count -= item->is_in;
            item->is_in = false;
        }
        assert_int_equal(map.count, count);
    }
    size_t position = 0, seen = 0;
    for (struct item *item; (item = map_next(&map, &position)); seen++) {
        assert_true(item->is_in && !item->is_seen);
        item->is_seen = true;
    }
    assert_int_equal(seen, count);
    map_free(&map);
    assert_null(map_get(&map, SLICE("x")));
}

static void takes_any_key(void **state)
{
    (void)state;
    struct map map = { 0 };
    int empty, nul, two_nuls;
    assert_null(map_remove(&map, SLICE("")));
    map_set(&map, (slice){ 0 }, &empty);
    map_set(&map, SLICE("\0"), &nul);
    map_set(&map, SLICE("\0\0"), &two_nuls);
    assert_ptr_equal(map_get(&map, SLICE("")), &empty);
    assert_ptr_equal(map_get(&map, SLICE("\0")), &nul);
    assert_ptr_equal(map_get(&map, SLICE("\0\0")), &two_nuls);
    map_free(&map);
}

static void numbers_work_too(void **state)
{
    (void)state;
    struct id_map map = { 0 };
    static bool is_in[ITEMS];
    static int value;
    size_t count = 0;
    for (size_t step = 0; step < 20 * ITEMS; step++) {
        size_t i = random_below(ITEMS);
        uint64_t key = (uint64_t)i << 40; /* ids with equal low bits must not pile up */
        assert_ptr_equal(id_map_get(&map, key), is_in[i] ? &value : NULL);
        if (random_below(2)) {
            assert_ptr_equal(id_map_set(&map, key, &value), is_in[i] ? &value : NULL);
            count += !is_in[i];
            is_in[i] = true;
        } else {
            assert_ptr_equal(id_map_remove(&map, key), is_in[i] ? &value : NULL);
            count -= is_in[i];
            is_in[i] = false;
        }
        assert_int_equal(map.count, count);
    }
    size_t position = 0, seen = 0;
    while (id_map_next(&map, &position))
        seen++;
    assert_int_equal(seen, count);
    id_map_free(&map);
}

static void hash_depends_on_every_octet(void **state)
{
    (void)state;
    char octets[32] = { 0 };
    for (size_t len = 0; len <= sizeof(octets); len++) {
        uint64_t before = hash_octets(slice_from(octets, len));
        assert_int_equal(before, hash_octets(slice_from(octets, len)));
        for (size_t i = 0; i < len; i++) {
            octets[i] = 1;
            assert_int_not_equal(before, hash_octets(slice_from(octets, len)));
            octets[i] = 0;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_what_was_set),
        cmocka_unit_test(takes_any_key),
        cmocka_unit_test(numbers_work_too),
        cmocka_unit_test(hash_depends_on_every_octet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
