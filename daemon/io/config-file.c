/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads a configuration file, with what it includes, through libconfig into the neutral tree. Must never
 * judge a setting: that is core/config's.
 *
 * The file is put together here and handed to libconfig as one text, and libconfig's line numbers are led
 * back to the files by a table. libconfig would resolve "@include" by itself, but its scanner ends the
 * process when the name is that of a directory (flex's YY_FATAL_ERROR), waits for ever on a FIFO, reads
 * without bound, and differs from version to version in what a name is relative to and in which name a
 * setting reports. */
#include "io/config-file.h"

#include "core/config-syntax.h"
#include "io/trust.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <libconfig.h>
#include <limits.h>
#include <sys/stat.h>

#define FILE_SIZE_MAX ((size_t)1024 * 1024) /* of all files together */
#define FILES_MAX 64
#define INCLUDE_DEPTH_MAX 8
#define SETTINGS_MAX 10000 /* libconfig compares each name with all others: 75000 take it two minutes */
#define NESTING_MAX 16     /* groups in lists in groups; a valid file has 4 */
/* Stands in the assembled text where a string in a list follows another without a comma. libconfig makes one
 * string of them, as C does, and would not tell. */
#define JOINED '\x1f'

/* Where a line of the assembled text comes from. */
typedef struct Place {
    size_t file;
    unsigned line;
} Place;

typedef struct Source {
    FILE *out; /* the assembled text */
    char **files;
    char **tried; /* of these, and of those that could not be read */
    bool incomplete;
    Place *lines;
    size_t n_lines, capacity;
    size_t bytes;     /* read so far */
    size_t settings;  /* likewise */
    const char *path; /* the main file: includes are relative to its directory */
    Problems *problems;
    const char *as;    /* where the main file's owner and mode are checked; NULL: they are not */
    Problems distrust; /* what users other than root could change */
    int passing;       /* the first trouble of the host that kept a file from being read or judged; 0: none */
    bool draft;        /* not at the place from which it will be read */
    enum { IN_CODE, IN_COMMENT, IN_STRING } state; /* of libconfig's scanner: continues across files */
    Place opened;                                  /* where that comment or string begins */
    char open[NESTING_MAX + 1];                    /* the brackets around it; deeper ones are not kept */
    size_t depth;
    bool after_string; /* nothing but blanks and comments stands between it and the string before */
    bool has_joined;   /* some file has that character itself: nothing can be told from it */
} Source;

static const char *source_add_file(Source *s, const char *path, unsigned depth);

/* libconfig's parser loses a string that it cannot parse: it leaks a few bytes for each file that is refused,
 * which we cannot free. LeakSanitizer is told so here, for all programs that read a file. */
#ifdef __SANITIZE_ADDRESS__
#define WITH_LEAK_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_LEAK_SANITIZER
#endif
#endif
#ifdef WITH_LEAK_SANITIZER
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig.so\n";
}
#endif

/* ---- putting the text together ---- */

/* Says nothing of the file itself: it may be readable in a moment. */
static void note_passing(Source *s, int error)
{
    if (s->passing == 0 && error_is_passing(error))
        s->passing = error;
}

static void source_clear(Source *s)
{
    fclosep(&s->out);
    strv_free(s->files);
    strv_free(s->tried);
    free(s->lines);
    problems_clear(&s->distrust);
}

static void begin_line(Source *s, size_t file, unsigned line)
{
    GROW(s->lines, s->capacity, s->n_lines);
    s->lines[s->n_lines++] = (Place){ .file = file, .line = line };
}

static Place place_of(const Source *s, unsigned line)
{
    return s->lines[line == 0 ? 0 : line <= s->n_lines ? line - 1 : s->n_lines - 1];
}

/* `path` itself if it is absolute, else beside the main file. That of standard input is nowhere. */
static char *include_path(const Source *s, const char *path)
{
    const char *slash = strrchr(s->path, '/');

    if (*path == '/' || !slash || streq(s->path, CONFIG_STDIN))
        return xstrdup(path);
    return xasprintf("%.*s/%s", (int)(slash - s->path), s->path, path);
}

/* The file name of an @include directive ("^[ \t]*@include[ \t]+\"NAME\"") that begins at `p`, where a line
 * begins. Returns what follows the directive; NULL: there is none. *ret_name stays NULL when the name has no
 * end. */
static const char *parse_include(const char *p, char **ret_name)
{
    static const char keyword[] = "@include";
    _cleanup_(freep) char *name = NULL;
    size_t n = 0;

    p += strspn(p, " \t");
    if (strncmp(p, keyword, strlen(keyword)) != 0)
        return NULL;
    p += strlen(keyword);
    if (strspn(p, " \t") == 0 || p[strspn(p, " \t")] != '"')
        return NULL;
    p += strspn(p, " \t") + 1;
    name = xcalloc(strcspn(p, "\n") + 1, 1);
    for (; *p && *p != '"' && *p != '\n'; p++) {
        if (*p == '\\' && (p[1] == '"' || p[1] == '\\'))
            p++;
        name[n++] = *p;
    }
    if (*p == '"') {
        *ret_name = TAKE_PTR(name);
        p++;
    }
    return p;
}

static void include(Source *s, size_t file, unsigned line, const char *name, unsigned depth)
{
    _cleanup_(freep) char *path = NULL;
    const char *error = NULL;

    if (!name || !*name) {
        problems_add(s->problems, s->files[file], line, NULL, "@include needs the name of a file in quotes");
        return;
    }
    path = include_path(s, name);
    fputc('\n', s->out);
    error = source_add_file(s, path, depth + 1);
    if (error)
        problems_add(s->problems, s->files[file], line, NULL, "cannot include \"%s\": %s", path, error);
    begin_line(s, file, line); /* the rest of the directive's line */
}

/* libconfig 1.5 cuts a decimal or hexadecimal number without the suffix L to 32 bits ("4294967297" is 1).
 * With it the value is whole, and the range check in core/config sees it. Returns what follows the number. */
static const char *copy_number(Source *s, const char *p)
{
    size_t n = strspn(p, "0123456789.abcdefABCDEFxXL");
    char *end = NULL;
    bool hex = p[0] == '0' && (p[1] == 'x' || p[1] == 'X');

    fwrite(p, 1, n, s->out);
    unsigned long long v = strtoull(p, &end, hex ? 16 : 10); /* ERANGE: v is large, which is all we ask */
    if (end == p + n && v > INT_MAX)
        fputc('L', s->out);
    return p + n;
}

static void note_bracket(Source *s, char c)
{
    if (strchr("([{", c)) {
        if (s->depth < sizeof(s->open))
            s->open[s->depth] = c;
        s->depth++;
    } else if (strchr(")]}", c) && s->depth > 0) {
        s->depth--;
    }
}

static bool in_list(const Source *s)
{
    return s->depth > 0 && s->depth <= sizeof(s->open) && s->open[s->depth - 1] != '{';
}

/* Each says how much of what `p` begins with is to be copied as it stands. */
static size_t scan_comment(Source *s, const char *p)
{
    if (strncmp(p, "*/", 2) != 0)
        return 1;
    s->state = IN_CODE;
    return 2;
}

static size_t scan_string(Source *s, const char *p)
{
    if (*p == '\\' && (p[1] == '"' || p[1] == '\\'))
        return 2;
    if (*p == '"') {
        s->state = IN_CODE;
        s->after_string = true;
    }
    return 1;
}

/* 0: *p has been copied in another form, and passed. */
static size_t scan_code(Source *s, const char **p)
{
    const char c = **p;

    if (isspace((unsigned char)c))
        return 1;
    if (c == '#' || strncmp(*p, "//", 2) == 0)
        return strcspn(*p, "\n");
    if (c == '"' || strncmp(*p, "/*", 2) == 0) {
        s->state = c == '"' ? IN_STRING : IN_COMMENT;
        s->opened = s->lines[s->n_lines - 1];
        if (c != '"')
            return 2;
        if (!s->after_string || !in_list(s))
            return 1;
        fprintf(s->out, "\"%c", JOINED);
        (*p)++;
        return 0;
    }
    s->after_string = false;
    if (isalpha((unsigned char)c)) /* a name: digits in it are no number */
        return strspn(*p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_*");
    if (isdigit((unsigned char)c)) {
        *p = copy_number(s, *p);
        return 0;
    }
    if (c == '=' || c == ':')
        s->settings++;
    else
        note_bracket(s, c);
    return 1;
}

/* Copies `text` up to the end, following libconfig's scanner closely enough to know where a directive or a
 * number is one and where it is part of a comment or a string. */
static void source_add_text(Source *s, const char *text, size_t file, unsigned depth)
{
    unsigned line = 1;
    bool line_start = true;

    if (strncmp(text, "\xef\xbb\xbf", 3) == 0) /* a byte order mark: some editors begin UTF-8 with it */
        text += 3;
    s->has_joined = s->has_joined || strchr(text, JOINED);
    begin_line(s, file, line);
    for (const char *p = text; *p;) {
        if (s->state == IN_CODE && line_start) {
            _cleanup_(freep) char *name = NULL;
            const char *rest = parse_include(p, &name);
            if (rest) {
                include(s, file, line, name, depth);
                line_start = false;
                p = rest;
                continue;
            }
        }
        size_t n = s->state == IN_COMMENT  ? scan_comment(s, p)
                   : s->state == IN_STRING ? scan_string(s, p)
                                           : scan_code(s, &p);
        fwrite(p, 1, n, s->out);
        line_start = n > 0 && *p == '\n';
        p += n;
        if (line_start)
            begin_line(s, file, ++line);
    }
    /* libconfig 1.5 reports a syntax error if the file ends in a comment. */
    fputc('\n', s->out);
}

/* Itself if it is absolute, else below the current directory. */
static char *absolute_path(const char *path)
{
    _cleanup_(freep) char *here = *path == '/' ? NULL : getcwd(NULL, 0);

    return *path == '/' ? xstrdup(path) : xasprintf("%s/%s", here ? here : "", path);
}

/* `st` is of the open file: between the walk and open(2) only root could have put another in its place. */
static void judge_file(Source *s, const char *path, const struct stat *st)
{
    const char *judged = strv_length(s->files) == 0 ? s->as : path;
    _cleanup_(freep) char *absolute = NULL, *folder = NULL, *real = NULL, *reason = NULL;
    TrustRules rules = { .owner = 0, .sticky = true };
    struct stat found;

    if (!s->as)
        return;
    absolute = absolute_path(judged);
    if (s->draft) {
        _cleanup_(freep) char *main_path = absolute_path(s->path);
        *strrchr(main_path, '/') = '\0';
        folder = realpath(*main_path ? main_path : "/", NULL);
        rules.trusted = folder;
    }
    int r = trust_walk(absolute, &rules, &real, &found, &reason);
    if (r >= 0 && streq(judged, path) && (found.st_dev != st->st_dev || found.st_ino != st->st_ino)) {
        problems_add(&s->distrust, judged, 0, NULL, "changed while it was read");
        r = -EAGAIN;
    } else if (r < 0) {
        problems_add(&s->distrust, judged, 0, NULL, "%s%s", reason,
                     s->draft ? "; it is refused if it is installed like this" : "");
    }
    note_passing(s, r);
}

/* The whole file, with a NUL after it; NULL and the reason in *ret_error. */
static char *read_whole(Source *s, const char *path, const char **ret_error)
{
    /* Not O_NOFOLLOW: the administrator may keep the file elsewhere. O_NONBLOCK: a FIFO must not block us. */
    _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    _cleanup_(freep) char *text = NULL;
    struct stat st;
    size_t n = 0;
    ssize_t got = 0;

    if (fd < 0 || fstat(fd, &st) < 0) {
        note_passing(s, -errno);
        *ret_error = strerror(errno);
        return NULL;
    }
    if (!S_ISREG(st.st_mode)) {
        *ret_error = S_ISDIR(st.st_mode) ? "is a directory, not a file" : "is not a regular file";
        return NULL;
    }
    judge_file(s, path, &st);
    size_t expected = (size_t)st.st_size;
    if (expected > FILE_SIZE_MAX - s->bytes) {
        *ret_error = "too large; the limit is 1 MiB for all included files together";
        return NULL;
    }
    s->bytes += expected;
    text = xcalloc(expected + 2, 1); /* a byte more to find out whether there is more, and the NUL */
    do {
        got = read(fd, text + n, expected + 1 - n);
        if (got < 0 && errno != EINTR) {
            note_passing(s, -errno);
            *ret_error = strerror(errno);
            return NULL;
        }
        if (got > 0)
            n += (size_t)got;
    } while (got != 0 && n <= expected);
    if (n != expected) {
        note_passing(s, -EAGAIN);
        *ret_error = "changed while it was read";
        return NULL;
    }
    if (strlen(text) != n) {
        *ret_error = "contains a NUL byte; it is not a text file";
        return NULL;
    }
    return TAKE_PTR(text);
}

/* Adds a file and what it includes. NULL; or why the file could not be read. */
static const char *source_add_file(Source *s, const char *path, unsigned depth)
{
    _cleanup_(freep) char *text = NULL;
    const char *error = NULL;
    size_t file = strv_length(s->files);

    if (depth > INCLUDE_DEPTH_MAX)
        return "files include each other too deeply (8 levels at most)";
    if (file >= FILES_MAX)
        return "too many files (64 at most)";
    if (strv_length(s->tried) < FILES_MAX)
        strv_push(&s->tried, xstrdup(path));
    text = read_whole(s, path, &error);
    s->incomplete = s->incomplete || isempty(text);
    if (!text)
        return error;
    strv_push(&s->files, xstrdup(path));
    source_add_text(s, text, file, depth);
    return NULL;
}

/* ---- from libconfig's tree to ours ---- */

/* A string that stands there in several pieces. */
static void take_pieces(ConfNode *node)
{
    const char joined[] = { JOINED, '\0' };
    char *text = NULL, *pieces = NULL;
    size_t text_size = 0, pieces_size = 0;

    if (!strchr(node->string, JOINED))
        return;
    FILE *whole = open_memstream(&text, &text_size), *list = open_memstream(&pieces, &pieces_size);
    if (!whole || !list)
        abort();
    for (const char *p = node->string;; p++) {
        size_t n = strcspn(p, joined);
        fwrite(p, 1, n, whole);
        fprintf(list, "%s\"%.*s\"", p > node->string ? ", " : "", (int)n, p);
        p += n;
        if (!*p)
            break;
    }
    fclose(whole);
    fclose(list);
    free(node->string);
    node->string = text;
    node->pieces = pieces;
}

static void convert(Source *s, const config_setting_t *setting, unsigned depth, ConfNode *node)
{
    Place place = place_of(s, config_setting_source_line(setting));

    *node = (ConfNode){
        .name = xstrdup(config_setting_name(setting)),
        .file = s->files[place.file],
        .line = place.line,
    };
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_INT:
        node->kind = CONF_INT;
        node->integer = config_setting_get_int(setting);
        return;
    case CONFIG_TYPE_INT64:
        node->kind = CONF_INT;
        node->integer = config_setting_get_int64(setting);
        return;
    case CONFIG_TYPE_FLOAT:
        node->kind = CONF_FLOAT;
        node->real = config_setting_get_float(setting);
        return;
    case CONFIG_TYPE_BOOL:
        node->kind = CONF_BOOL;
        node->integer = config_setting_get_bool(setting);
        return;
    case CONFIG_TYPE_STRING:
        node->kind = CONF_STRING;
        node->string = xstrdup(config_setting_get_string(setting));
        if (!node->string)
            node->string = xstrdup("");
        if (!s->has_joined)
            take_pieces(node);
        return;
    case CONFIG_TYPE_GROUP:
        node->kind = CONF_GROUP;
        break;
    case CONFIG_TYPE_ARRAY:
    case CONFIG_TYPE_LIST:
        node->kind = CONF_LIST;
        break;
    default:
        abort(); /* libconfig has no other type */
    }

    int n = config_setting_length(setting);
    if (n > 0 && depth >= NESTING_MAX) {
        problems_add(s->problems, node->file, node->line, NULL, "nested too deeply");
        return;
    }
    node->children = xcalloc((size_t)n, sizeof(ConfNode));
    for (int i = 0; i < n; i++)
        convert(s, config_setting_get_elem(setting, (unsigned)i), depth + 1,
                &node->children[node->n_children++]);
}

/* libconfig accepts the end of the file as the end of a comment or string, with everything that it swallowed:
 * groups would silently disappear. */
static void add_open_end(Source *s)
{
    problems_add(s->problems, s->files[s->opened.file], s->opened.line, NULL,
                 "the %s that starts here is not closed", s->state == IN_COMMENT ? "comment" : "string");
}

static unsigned line_number(const char *text, const char *at)
{
    unsigned n = 1;

    for (const char *p = text; p < at; p++)
        n += *p == '\n';
    return n;
}

/* What is said where the text has ended too early, at its last line with something in it. */
static char *explain_end(const Source *s, const char *text, const char *end, const char *open)
{
    _cleanup_(freep) char *words = xstrdup("the file ends here, and something is missing");

    if (open) {
        const Place place = place_of(s, line_number(text, open));
        free(words);
        words = xasprintf("the file ends here, and the \"%c\" of line %u is not closed", *open, place.line);
    }
    return config_syntax_explain(text, end, words);
}

#define TOKENS_MAX 2000 /* of one line */

/* libconfig tells the line only. With each token of it in a line of its own, it tells the token. `end`: where
 * the text ends, but for comments. */
static const char *find_token(const char *text, const char *end, unsigned line)
{
    _cleanup_(freep) size_t *starts = xcalloc(TOKENS_MAX, sizeof(*starts));
    _cleanup_(freep) char *split = NULL;
    const char *at = text;
    size_t size = 0, found = 0;
    config_t parsed;

    for (unsigned i = 1; i < line && strchr(at, '\n'); i++)
        at = strchr(at, '\n') + 1;
    size_t n = config_syntax_tokens(at, starts, TOKENS_MAX);
    FILE *f = open_memstream(&split, &size);
    if (!f)
        abort();
    fwrite(text, 1, (size_t)(at - text), f);
    for (size_t i = 0; i < n; i++)
        fprintf(f, "%.*s\n", (int)((i + 1 < n ? starts[i + 1] : strcspn(at, "\n")) - starts[i]),
                at + starts[i]);
    fputs(at + strcspn(at, "\n"), f);
    fclose(f);
    config_init(&parsed);
    if (!config_read_string(&parsed, split) && (unsigned)config_error_line(&parsed) >= line)
        found = (unsigned)config_error_line(&parsed) - line;
    config_destroy(&parsed);
    if (found >= n && (n == 0 || at + strcspn(at, "\n") >= end))
        return at + strcspn(at, "\n");
    return at + starts[found < n ? found : n - 1];
}

static void add_parse_problem(Source *s, const config_t *parsed, const char *assembled)
{
    const char *text = config_error_text(parsed);
    unsigned line = (unsigned)config_error_line(parsed);
    Place place = place_of(s, line);
    _cleanup_(freep) char *words = NULL;

    if (line >= s->n_lines && s->state != IN_CODE) {
        add_open_end(s);
        return;
    }
    if (!text || streq(text, "syntax error")) {
        const char *open, *end = config_syntax_end(assembled, &open), *at = find_token(assembled, end, line);
        if (at >= end) {
            place = place_of(s, line_number(assembled, end));
            words = explain_end(s, assembled, end, open);
        } else
            words = config_syntax_explain(assembled, at, NULL);
    } else if (streq(text, "duplicate setting name"))
        words = xstrdup("this name is already used further up in the same group; keep one of them");
    else
        words = xstrdup(text);
    problems_add(s->problems, s->files[place.file], place.line, NULL, "%s", words);
}

static int parse(Source *s, const char *text, Config **ret)
{
    size_t before = s->problems->n;
    ConfNode root = { 0 };
    config_t parsed;
    int r = -EINVAL;

    assert(s->files && s->lines); /* the main file has been read */
    config_init(&parsed);
    if (!config_read_string(&parsed, text)) {
        add_parse_problem(s, &parsed, text);
    } else if (s->state != IN_CODE) {
        add_open_end(s);
    } else {
        convert(s, config_root_setting(&parsed), 0, &root);
        if (s->problems->n == before)
            r = config_from_tree(&root, s->path, s->problems, ret);
    }
    config_destroy(&parsed);
    conf_node_clear(&root);
    return r;
}

/* The text of all files together. */
static int assemble(Source *s, char **ret_text, size_t *ret_size)
{
    const size_t before = s->problems->n;
    const char *error = NULL;

    s->out = open_memstream(ret_text, ret_size);
    if (!s->out)
        abort(); /* out of memory, as in xcalloc() */
    error = source_add_file(s, s->path, 0);
    if (error)
        problems_add(s->problems, s->path, 0, NULL, "%s", error);
    else if (s->bytes == 0) /* a save truncated by a full disk looks so: no relay must lose its group by it */
        problems_add(s->problems, s->path, 0, NULL,
                     "the file is empty; to take all relays out of their groups write \"groups = ();\"");
    if (s->settings > SETTINGS_MAX)
        problems_add(s->problems, s->path, 0, NULL, "too many settings (10000 at most)");
    int r = fclose(TAKE_PTR(s->out)); /* the text is complete and ours only now */
    if (r != 0)
        abort();
    return error || s->problems->n > before ? -EINVAL : 0;
}

static int load(Source *s, Config **ret)
{
    _cleanup_(freep) char *text = NULL;
    size_t size = 0;
    int r = assemble(s, &text, &size);

    /* Without an included file, everything that it defines would be reported as unknown. */
    if (r < 0)
        return r;
    r = parse(s, text, ret);
    if (r == 0)
        (*ret)->digest = hash_bytes(HASH_BEGIN, text, size);
    return r;
}

int config_file_load(const char *path, Problems *problems, Config **ret)
{
    _cleanup_(source_clear) Source s = { .path = path, .problems = problems };

    int r = load(&s, ret);
    return r < 0 && s.passing < 0 ? s.passing : r;
}

int config_file_load_judged(const char *path, const char *as, Problems *problems, Problems *warnings,
                            Config **ret)
{
    _cleanup_(source_clear)
        Source s = { .path = path, .problems = problems, .as = as, .draft = warnings != NULL };
    _cleanup_(config_freep) Config *config = NULL;
    int r = load(&s, &config);

    for (size_t i = 0; i < s.distrust.n; i++)
        problems_add(warnings ? warnings : problems, s.distrust.items[i].file, 0, NULL, "%s",
                     s.distrust.items[i].message);
    if (r < 0 || (!warnings && s.distrust.n > 0))
        return s.passing < 0 ? s.passing : -EINVAL;
    *ret = TAKE_PTR(config);
    return 0;
}

static uint64_t hash_problems(uint64_t hash, const Problems *problems)
{
    for (size_t i = 0; i < problems->n; i++) {
        _cleanup_(freep) char *line = problem_to_string(&problems->items[i]);
        hash = hash_bytes(hash, line, strlen(line) + 1);
    }
    return hash;
}

void config_on_disk_clear(ConfigOnDisk *looked)
{
    strv_free(looked->files);
    *looked = (ConfigOnDisk){ 0 };
}

void config_file_look(const char *path, ConfigOnDisk *ret)
{
    _cleanup_(problems_clear) Problems problems = { 0 };
    _cleanup_(source_clear) Source s = { .path = path, .problems = &problems, .as = path };
    _cleanup_(freep) char *text = NULL;
    size_t size = 0;

    (void)assemble(&s, &text, &size);
    uint64_t digest = hash_bytes(HASH_BEGIN, text, size);
    digest = hash_problems(digest, &problems);
    ret->digest = hash_problems(digest, &s.distrust);
    ret->incomplete = s.incomplete;
    ret->files = TAKE_PTR(s.tried);
}
