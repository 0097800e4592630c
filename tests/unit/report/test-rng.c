/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/rng.h"
#include "test.h"

/* The reference outputs of the generator's authors. */
static void test_rng_vectors(void **state)
{
    (void)state;
    static const uint64_t expected[] = { 41943041,
                                         58720359,
                                         3588806011781223,
                                         3591011842654386,
                                         UINT64_C(9228616714210784205),
                                         UINT64_C(9973669472204895162),
                                         UINT64_C(14011001112246962877),
                                         UINT64_C(12406186145184390807) };
    Rng rng = { { 1, 2, 3, 4 } };

    for (size_t i = 0; i < ELEMENTSOF(expected); i++)
        assert_int_equal(rng_next(&rng), expected[i]);
    rng = rng_new(1234567); /* splitmix64's own */
    assert_int_equal(rng.s[0], UINT64_C(6457827717110365317));
    assert_int_equal(rng.s[1], UINT64_C(3203168211198807973));
    assert_int_equal(rng.s[2], UINT64_C(9817491932198370423));
}

static void test_rng_below(void **state)
{
    (void)state;
    Rng rng = rng_new(1);
    unsigned counts[7] = { 0 };

    for (size_t i = 0; i < 70000; i++) {
        size_t x = rng_below(&rng, 7);
        assert_in_range(x, 0, 6);
        counts[x]++;
    }
    for (size_t i = 0; i < 7; i++)
        assert_in_range(counts[i], 9700, 10300);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(rng_below(&rng, 1), 0);
    /* Of more than half of all values nearly every second draw is drawn again; it must end, and stay below.
     */
    for (size_t i = 0; i < 100; i++)
        assert_true(rng_below(&rng, ((size_t)1 << 63) + 1) <= (size_t)1 << 63);
}

static void test_rng_shuffle(void **state)
{
    (void)state;
    Rng rng = rng_new(2);
    unsigned counts[4][4] = { { 0 } };

    for (size_t round = 0; round < 40000; round++) {
        size_t items[] = { 0, 1, 2, 3 };
        rng_shuffle(&rng, items, 4);
        assert_int_equal(items[0] + items[1] + items[2] + items[3], 6);
        for (size_t i = 0; i < 4; i++)
            counts[i][items[i]]++;
    }
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 4; j++)
            assert_in_range(counts[i][j], 9600, 10400);
    rng_shuffle(&rng, NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rng_vectors),
        cmocka_unit_test(test_rng_below),
        cmocka_unit_test(test_rng_shuffle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
