/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads values of a given type and range from a parsed file; anything else is noted as a problem with what it
 * must be and what it is. Shared only by the parts of the configuration's reader. Pure. */
#pragma once

#include "core/config.h"

/* One run over one file. */
typedef struct Load {
    Config *config;
    Problems *problems;
    Group *group;         /* the one being read */
    Allocator *allocator; /* likewise */
    bool canary_settle;   /* has the file set it? */
    bool instances_dir;   /* likewise */
} Load;

/* (Load *l, const ConfNode *node, const char *setting, const char *format, …) */
#define value_complain(l, node, setting, ...)                                                                \
    problems_add((l)->problems, (node)->file ? (node)->file : (l)->config->path, (node)->line, (setting),    \
                 __VA_ARGS__)
/* "must be WHAT, not …" */
void value_must_be(Load *l, const ConfNode *node, const char *setting, const char *what);
/* What is there, for a sentence; owned by the caller. */
char *value_found(const ConfNode *node);

bool value_is(Load *l, const ConfNode *node, const char *setting, ConfKind kind, const char *what);
bool value_is_number(const ConfNode *node);
double value_number(const ConfNode *node);

/* A string that word_text_problem() accepts, owned by the node; NULL: noted. */
const char *value_string(Load *l, const ConfNode *node, const char *setting);
/* False: noted, and *ret is as before. */
bool value_integer(Load *l, const ConfNode *node, const char *setting, unsigned min, unsigned max,
                   unsigned *ret);
/* 0 to a day, fractions too; else noted, and *ret is as before. */
void value_seconds(Load *l, const ConfNode *node, const char *setting, usec_t *ret);
/* The index of the string in `words` (two of them, then NULL); -1: noted. */
int value_word(Load *l, const ConfNode *node, const char *setting, const char *const *words);
