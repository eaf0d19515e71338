#pragma once
#include "config/config.h"
/*
 * node - a YAML file as a tree, with the place of every part. The only code that sees libyaml. Private to config/.
 *
 * Bounded:  depth, count of nodes, size of the file. Anchors, aliases, tags and a second document are refused: an
 *           option file gains nothing by them, and aliases can grow without bound.
 */
enum node_kind {
    NODE_NOTHING, /* no value: empty, ~ or null */
    NODE_SCALAR,
    NODE_LIST,
    NODE_MAPPING,
    NODE_BAD, /* refused already; nothing more is to be said about it */
};
struct source {   /* a file, or what stands for one */
    slice name;   /* in mistakes */
    slice folder; /* where its relative paths start, with a '/' at the end or empty */
};
struct node {
    enum node_kind kind;
    unsigned line, column; /* 1-based, columns in characters */
    const struct source *source;
    slice text;           /* NODE_SCALAR */
    struct node *first;   /* of a list: its items; of a mapping: its keys, each with its value */
    struct node *next;    /* item or key */
    struct node *value;   /* of a key */
    struct node *earlier; /* all nodes of one tree, for node_wipe */
};
enum { NODE_DEPTH_MAX = 16, NODES_MAX = 4 * 1024 * 1024 };

/* NULL when nothing could be read at all (the mistakes say why); an empty file is NODE_NOTHING. Mistakes in parts leave
 * NODE_BAD there and the rest is read. After a syntax error the tree is what stands before it, and *is_whole is false;
 * a key may then have no value (NULL). *last, NULL at first, is the start of the chain for node_wipe. */
MUST_CHECK struct node *node_read(struct arena *, slice yaml, const struct source *, struct config_mistakes *,
                                  struct node **last, bool *is_whole);
/* Overwrites all texts: there may be secrets among them. */
void node_wipe(struct node *last);
const char *node_kind_name(enum node_kind); /* "a list", for people */
