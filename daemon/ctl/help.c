/* SPDX-License-Identifier: BSD-3-Clause */
/* The verb help for another verb: what the manual says of it. The table is made of the manual by the build.
 */
#include "ctl/lib/ctl.h"

#define WIDTH_MAX 100 /* longer lines are hard to read */

static const struct {
    const char *verb, *title, *text;
} pages[] = {
#include <verb-help.inc> /* made by the build */
};

int ctl_help_verb(const CtlOptions *options, const char *verb)
{
    _cleanup_(freep) char *text = NULL;
    size_t size = 0, i = 0, width = ctl_terminal_width();

    while (i < ELEMENTSOF(pages) && !streq(pages[i].verb, verb))
        i++;
    if (i == ELEMENTSOF(pages))
        return EXIT_USAGE;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        abort();
    fprintf(f, "relayallocctl %s\n\n", pages[i].title);
    ctl_write_wrapped(f, pages[i].text, width == 0 || width > WIDTH_MAX ? WIDTH_MAX : width, 2, 0);
    fputs("\nMore, and the options that verbs share, in relayallocctl(1).\n", f);
    fclose(f);
    return ctl_print(options, text) < 0 ? EXIT_FAILED : EXIT_FINE;
}
