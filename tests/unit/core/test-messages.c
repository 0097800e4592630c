/* SPDX-License-Identifier: BSD-3-Clause */
/* Holds daemon/core/messages.c and units/relayalloc.catalog together, in both directions. */
#include "core/messages.h"
#include "core/util.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define CATALOG SOURCE_DIR "/units/relayalloc.catalog"

typedef struct Entry {
    char *id, *subject, *defined_by, *documentation;
    size_t body; /* lines of text after the header */
} Entry;

typedef struct Catalog {
    Entry *items;
    size_t n, capacity;
} Catalog;

static void set_header(char **field, const char *line, const char *header)
{
    if (strncmp(line, header, strlen(header)) == 0 && !*field)
        *field = xstrdup(line + strlen(header));
}

/* Reads the catalog as systemd does: "-- ID" opens an entry, headers up to the first empty line, then text.
 */
static int catalog_read(void **state)
{
    _cleanup_(fclosep) FILE *f = fopen(CATALOG, "re");
    Catalog *catalog = xcalloc(1, sizeof(*catalog));
    _cleanup_(freep) char *line = NULL;
    size_t size = 0;
    bool header = false;

    assert_non_null(f);
    for (ssize_t n; (n = getline(&line, &size, f)) >= 0;) {
        if (n > 0 && line[n - 1] == '\n')
            line[n - 1] = '\0';
        if (strncmp(line, "-- ", 3) == 0) {
            GROW(catalog->items, catalog->capacity, catalog->n);
            catalog->items[catalog->n++] = (Entry){ .id = xstrdup(line + 3) };
            header = true;
            continue;
        }
        if (catalog->n == 0) {
            assert_true(isempty(line) || line[0] == '#'); /* nothing but comments before the first entry */
            continue;
        }
        Entry *e = &catalog->items[catalog->n - 1];
        if (header && isempty(line)) {
            header = false;
        } else if (header) {
            set_header(&e->subject, line, "Subject: ");
            set_header(&e->defined_by, line, "Defined-By: ");
            set_header(&e->documentation, line, "Documentation: ");
        } else if (!isempty(line)) {
            e->body++;
        }
    }
    *state = catalog;
    return 0;
}

static int catalog_free(void **state)
{
    Catalog *catalog = *state;
    for (size_t i = 0; i < catalog->n; i++) {
        free(catalog->items[i].id);
        free(catalog->items[i].subject);
        free(catalog->items[i].defined_by);
        free(catalog->items[i].documentation);
    }
    free(catalog->items);
    free(catalog);
    return 0;
}

static void test_ids_are_well_formed_and_unique(void **state)
{
    (void)state;
    for (int k = 0; k < _MESSAGE_MAX; k++) {
        const char *id = message_id((MessageKind)k);
        assert_int_equal(strlen(id), 32);
        assert_int_equal(strspn(id, "0123456789abcdef"), 32);
        assert_int_equal(message_from_id(id), k); /* the first with this id, so no other has it */
        assert_in_range(message_priority((MessageKind)k), 0, 7);
        for (int other = 0; other < k; other++)
            assert_string_not_equal(message_name((MessageKind)other), message_name((MessageKind)k));
    }
    assert_int_equal(message_from_id("00000000000000000000000000000000"), -1);
    assert_int_equal(message_from_id(""), -1);
}

static void test_each_message_has_one_entry(void **state)
{
    const Catalog *catalog = *state;
    for (int k = 0; k < _MESSAGE_MAX; k++) {
        size_t found = 0;
        for (size_t i = 0; i < catalog->n; i++)
            found += streq(catalog->items[i].id, message_id((MessageKind)k));
        if (found != 1)
            fail_msg("%s (%s) has %zu entries in the catalog", message_id((MessageKind)k),
                     message_name((MessageKind)k), found);
    }
}

static void test_each_entry_has_a_message(void **state)
{
    const Catalog *catalog = *state;
    for (size_t i = 0; i < catalog->n; i++)
        if (message_from_id(catalog->items[i].id) < 0)
            fail_msg("the catalog's %s is no message", catalog->items[i].id);
    assert_int_equal(catalog->n, _MESSAGE_MAX);
}

static void test_entries_are_complete(void **state)
{
    const Catalog *catalog = *state;
    for (size_t i = 0; i < catalog->n; i++) {
        const Entry *e = &catalog->items[i];
        if (!e->subject || !streq_null(e->defined_by, "relayalloc") || !e->documentation ||
            strncmp(e->documentation, "man:", 4) != 0 || e->body == 0)
            fail_msg("the entry %s lacks a header or its text", e->id);
    }
}

/* journalctl(1) puts the value of a field where the text has @FIELD@; a misspelt one would stay as it is. */
static void test_fields_exist(void **state)
{
    (void)state;
    static const char *const known[] = { "@RELAYALLOC_RELAY@", "@RELAYALLOC_REASON@" };
    _cleanup_(fclosep) FILE *f = fopen(CATALOG, "re");
    _cleanup_(freep) char *line = NULL;
    size_t size = 0, seen = 0;

    assert_non_null(f);
    while (getline(&line, &size, f) >= 0) {
        for (const char *p = line; (p = strchr(p, '@'));) {
            size_t n = 0;
            for (size_t i = 0; i < ELEMENTSOF(known); i++)
                if (strncmp(p, known[i], strlen(known[i])) == 0)
                    n = strlen(known[i]);
            if (n == 0)
                fail_msg("unknown field in the catalog: %s", p);
            p += n;
            seen++;
        }
    }
    assert_true(seen > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_are_well_formed_and_unique),
        cmocka_unit_test(test_each_message_has_one_entry),
        cmocka_unit_test(test_each_entry_has_a_message),
        cmocka_unit_test(test_entries_are_complete),
        cmocka_unit_test(test_fields_exist),
    };
    return cmocka_run_group_tests_name("messages", tests, catalog_read, catalog_free);
}
