#include "base/arena.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void gives_zeroed_aligned_pieces(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    for (int round = 0; round < 3; round++) {
        char *before = NULL;
        for (size_t octets = 0; octets < 3000; octets += 7) {
            char *piece = arena_alloc(&arena, octets);
            assert_int_equal((uintptr_t)piece % _Alignof(max_align_t), 0);
            assert_ptr_not_equal(piece, before);
            before = piece;
            for (size_t i = 0; i < octets; i++)
                assert_int_equal(piece[i], 0);
            memset(piece, 0xAA, octets);
        }
        assert_true(arena.used_octets > 600000);
        arena_reset(&arena);
        assert_int_equal(arena.used_octets, 0);
    }
    arena_free(&arena);
    assert_null(arena.blocks);
}

static void gives_large_pieces(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    char *large = arena_alloc(&arena, 3 * 1024 * 1024);
    memset(large, 1, 3 * 1024 * 1024);
    uint64_t *numbers = ARENA_NEW_ARRAY(&arena, uint64_t, 1000);
    assert_int_equal(numbers[999], 0);
    arena_reset(&arena);
    assert_null(arena.blocks); /* a block that large is not kept */
    arena_free(&arena);
}

static void copies(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    char original[] = "a\0b";
    slice copy = arena_copy(&arena, slice_from(original, 3));
    original[0] = 'X';
    assert_true(slice_eq(copy, SLICE("a\0b")));
    assert_true(slice_is_empty(arena_copy(&arena, (slice){ 0 })));
    assert_string_equal(arena_cstr(&arena, SLICE("abc")), "abc");
    assert_string_equal(arena_cstr(&arena, (slice){ 0 }), "");
    assert_true(slice_eq(arena_format(&arena, "%s=%d", "x", 5), SLICE("x=5")));
    assert_true(slice_is_empty(arena_format(&arena, "%s", "")));
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_zeroed_aligned_pieces),
        cmocka_unit_test(gives_large_pieces),
        cmocka_unit_test(copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
