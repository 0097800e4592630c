/* SPDX-License-Identifier: BSD-3-Clause */
/* The verb edit: an editor on a private copy, then check, plan and a question, and only then the file itself,
 * as a whole. Whatever goes wrong before that leaves the file as it was. */
#include "ctl/file.h"

#include "core/config-text.h"
#include "ctl/lib/draft.h"
#include "ctl/lib/manager.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

/* Runs the editor on `path`. 0: it ended well; -ENOENT: there is no such editor; -ECANCELED: it failed or was
 * killed; other errno. The shell runs it, because EDITOR may carry options. */
static int run_editor(const char *editor, const char *path)
{
    _cleanup_(freep) char *script = xasprintf("%s \"$1\"", editor);
    int status = 0;

    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", script, "sh", path, (char *)NULL);
        _exit(127);
    }
    /* Ctrl-C in an editor is the editor's. */
    void (*old_interrupt)(int) = signal(SIGINT, SIG_IGN);
    void (*old_quit)(int) = signal(SIGQUIT, SIG_IGN);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    signal(SIGINT, old_interrupt);
    signal(SIGQUIT, old_quit);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    return WIFEXITED(status) && WEXITSTATUS(status) == 127 ? -ENOENT : -ECANCELED;
}

static int edit_draft(const char *path)
{
    static const char *const variables[] = { "SYSTEMD_EDITOR", "VISUAL", "EDITOR" };
    static const char *const usual[] = { "editor", "nano", "vi" };

    for (size_t i = 0; i < ELEMENTSOF(variables); i++) {
        const char *editor = getenv(variables[i]);
        if (isempty(editor))
            continue;
        int r = run_editor(editor, path);
        if (r < 0)
            ctl_error("the editor \"%s\" ($%s) %s", editor, variables[i],
                      r == -ENOENT ? "was not found" : "failed or was killed");
        return r;
    }
    for (size_t i = 0; i < ELEMENTSOF(usual); i++) {
        int r = run_editor(usual[i], path);
        if (r == -ENOENT)
            continue;
        if (r < 0)
            ctl_error("the editor \"%s\" failed or was killed", usual[i]);
        return r;
    }
    ctl_error("no editor found; set $EDITOR");
    return -ENOENT;
}

/* A valid candidate: shows the plan and asks whether to save it. 1: yes; 0: no; -1: there is no plan, which
 * was said. *ret_window: what its relays wait for, in words; NULL: nothing. */
static int decide(const CtlOptions *options, const Draft *draft, const Config *config, char **ret_window)
{
    size_t changes = 0;

    int status = file_print_plan(options, draft_candidate(draft), draft_target(draft), &changes);
    if (status != 0)
        return -1;
    *ret_window = changes > 0 ? config_window_words(config) : NULL;
    return ctl_confirm(options, changes > 0 ? "Save the file and start this?" : "Save the file?");
}

/* How one round ended: with a candidate to be saved, with a file that is as it was, or without success, and
 * then with a question before the next round (NULL: there is no point in one). */
typedef struct Round {
    bool save, unchanged;
    const char *question;
    char *window; /* what the relays will wait for, if it is to be saved, in words; NULL: nothing */
    int status;
} Round;

/* Check, plan and question. */
static Round offer(const CtlOptions *options, Draft *draft)
{
    _cleanup_(file_verdict_clear) FileVerdict verdict = { 0 };
    int r = draft_take(draft);

    if (r < 0)
        return (Round){ .status = EXIT_FAILED, .question = "Edit it again?" };
    if (r == 0)
        return (Round){ .status = EXIT_FINE, .unchanged = true };
    file_judge(draft_candidate(draft), draft_target(draft), !file_is_installed(options, draft_target(draft)),
               &verdict);
    file_verdict_print(&verdict);
    if (!verdict.config)
        return (Round){ .status = EXIT_USAGE, .question = "The file is invalid. Edit it again?" };
    char *window = NULL;
    if (decide(options, draft, verdict.config, &window) > 0)
        return (Round){ .status = EXIT_FINE, .save = true, .window = window };
    free(window);
    return (Round){ .status = EXIT_FAILED, .question = "Edit it again?" };
}

static Round edit_once(const CtlOptions *options, Draft *draft)
{
    int r = edit_draft(draft_path(draft));

    if (r < 0)
        return (Round){ .status = EXIT_FAILED, .question = r == -ENOENT ? NULL : "Edit it again?" };
    return offer(options, draft);
}

/* As visudo: a draft that is not saved is edited again, or kept. With --yes, and where nobody answers, there
 * is one round only. */
static Round edit_until_valid(const CtlOptions *options, Draft *draft)
{
    Round round;

    do
        round = edit_once(options, draft);
    while (round.question && !options->yes && isatty(STDIN_FILENO) && ctl_ask(options, round.question, true));
    return round;
}

static int conclude(const CtlOptions *options, Draft *draft, Round round)
{
    _cleanup_(freep) char *window = round.window;

    if (round.unchanged && !options->quiet)
        printf("%s: unchanged.\n", draft_target(draft));
    if (!round.save && !round.unchanged)
        draft_keep(draft);
    if (!round.save)
        return round.status;
    if (draft_save(draft) < 0)
        return EXIT_FAILED;
    if (!options->quiet)
        printf("%s: saved. The daemon reads it by itself while it runs.\n", draft_target(draft));
    if (!options->quiet && window)
        printf("Relays are %s; \"relayallocctl reload --now\" does not wait.\n", window);
    return EXIT_FINE;
}

int file_save_groups(const CtlOptions *options, const char *groups)
{
    _cleanup_(draft_freep) Draft *draft = NULL;
    CtlOptions plain = *options;

    plain.json = JSON_OFF; /* this is a conversation */
    if (draft_new(options->config, &draft) < 0)
        return EXIT_FAILED;
    _cleanup_(freep) char *text = config_text_with_groups(draft_original(draft), groups);
    if (draft_write(draft, text) < 0)
        return EXIT_FAILED;
    return conclude(&plain, draft, offer(&plain, draft));
}

int ctl_edit(int argc, char *argv[], const CtlOptions *options)
{
    _cleanup_(draft_freep) Draft *draft = NULL;
    CtlOptions plain = *options;
    char *const *none = NULL;

    int status = ctl_operands(argc, argv, 0, &none);
    if (status != 0)
        return status;
    if (options->host || options->machine) {
        ctl_error("edit works only on the file of this host; omit --host and --machine");
        return EXIT_USAGE;
    }
    plain.json = JSON_OFF; /* this is a conversation */
    if (draft_new(options->config, &draft) < 0)
        return EXIT_FAILED;
    return conclude(&plain, draft, edit_until_valid(&plain, draft));
}
