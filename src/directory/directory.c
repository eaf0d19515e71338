#include "directory/directory.h"
#include "base/arena.h"
#include "base/map.h"
#include "base/memory.h"
/*
 * directory - one map of all names, keyed by the address in lower case (local parts of hosted mailboxes are compared
 * without case: RFC 5321 §2.4 leaves that to the host that keeps them, and people type them either way).
 */
enum { TARGETS_MAX = 1000, ALIAS_DEPTH_MAX = 50, KEY_OCTETS_MAX = LOCAL_PART_MAX + 1 + DOMAIN_MAX };

struct entry {
    slice key;
    struct path path; /* as it was configured */
    bool is_mailbox;
    struct path *targets; /* of an alias; an entry may be both: an alias that keeps a copy */
    size_t target_count, target_capacity;
};
struct domain {
    slice name;
    struct path catch_all; /* null: none */
    char separator;        /* of address extensions; 0: none */
    struct path *first_mailbox;
};
struct directory {
    struct arena memory;
    struct map entries; /* key -> entry */
    struct map domains; /* name -> domain */
    struct domain *first_domain;
    struct path *first_mailbox;
    struct entry **mailboxes; /* until finished, in the order they were added */
    size_t mailbox_count, mailbox_capacity;
    bool is_finished;
    int references; /* atomic */
};

struct directory *directory_new(void)
{
    struct directory *d = MEMORY_NEW(struct directory);
    d->references = 1;
    return d;
}

/* --- keys --------------------------------------------------------------------------------------------------------- */

struct key {
    size_t len;
    char octets[KEY_OCTETS_MAX];
};

static void key_add_lower(struct key *key, slice part)
{
    for (size_t i = 0; i < part.len; i++)
        key->octets[key->len++] = ascii_lower(part.ptr[i]);
}

/* False: too long to be anybody. `local` without quoting. */
static bool key_make(struct key *key, slice local, slice domain)
{
    key->len = 0;
    if (local.len > LOCAL_PART_MAX || domain.len > DOMAIN_MAX)
        return false;
    key_add_lower(key, local);
    key->octets[key->len++] = '@';
    key_add_lower(key, domain);
    return true;
}

static struct entry *find_entry(const struct directory *d, slice local, slice domain)
{
    struct key key;
    return key_make(&key, local, domain) ? map_get(&d->entries, slice_from(key.octets, key.len)) : NULL;
}

static const struct domain *find_domain(const struct directory *d, slice name)
{
    struct key key = { 0 };
    if (name.len > DOMAIN_MAX)
        return NULL;
    key_add_lower(&key, name);
    return map_get(&d->domains, slice_from(key.octets, key.len));
}

/* The local part without quotes: in place where it has none, as nearly all. */
static slice plain_local_part(struct path path, struct text *buffer)
{
    if (path.local_part.len == 0 || path.local_part.ptr[0] != '"')
        return path.local_part;
    path_add_unquoted_local_part(buffer, path);
    return text_slice(buffer);
}

/* --- building ----------------------------------------------------------------------------------------------------- */

static struct path copy_path(struct directory *d, struct path path)
{
    return (struct path){ arena_copy(&d->memory, path.local_part), arena_copy(&d->memory, path.domain) };
}

/* Null where the text is no address: then there is nothing to deliver to. */
static struct path parse_address(slice address)
{
    struct path_parse parse = mailbox_parse(address, true);
    return parse.error == PATH_OK ? parse.path : (struct path){ 0 };
}

static struct entry *entry_of(struct directory *d, struct path path)
{
    struct text buffer = { 0 };
    struct key key;
    struct entry *entry = NULL;
    if (key_make(&key, plain_local_part(path, &buffer), path.domain))
        entry = map_get(&d->entries, slice_from(key.octets, key.len));
    if (!entry && key.len) {
        entry = ARENA_NEW(&d->memory, struct entry);
        entry->key = arena_copy(&d->memory, slice_from(key.octets, key.len));
        entry->path = copy_path(d, path);
        map_set(&d->entries, entry->key, entry);
    }
    text_free(&buffer);
    return entry;
}

void directory_add_domain(struct directory *d, slice name, slice catch_all, slice extension_separator)
{
    assert(!d->is_finished);
    if (name.len == 0 || name.len > DOMAIN_MAX || find_domain(d, name))
        return;
    struct key key = { 0 };
    key_add_lower(&key, name);
    struct domain *domain = ARENA_NEW(&d->memory, struct domain);
    domain->name = arena_copy(&d->memory, slice_from(key.octets, key.len));
    domain->catch_all = copy_path(d, parse_address(catch_all));
    domain->separator = extension_separator.len ? extension_separator.ptr[0] : 0;
    map_set(&d->domains, domain->name, domain);
    if (!d->first_domain)
        d->first_domain = domain;
}

void directory_add_alias(struct directory *d, slice address, const slice *targets, size_t count)
{
    assert(!d->is_finished);
    struct path path = parse_address(address);
    struct entry *entry = path_is_null(path) ? NULL : entry_of(d, path);
    for (size_t i = 0; entry && i < count; i++) {
        struct path target = parse_address(targets[i]);
        if (path_is_null(target))
            continue;
        if (entry->target_count == entry->target_capacity) {
            size_t capacity = entry->target_capacity ? 2 * entry->target_capacity : size_min(count, 16);
            struct path *grown = ARENA_NEW_ARRAY(&d->memory, struct path, capacity);
            if (entry->target_count)
                memcpy(grown, entry->targets, entry->target_count * sizeof(*grown));
            entry->targets = grown;
            entry->target_capacity = capacity;
        }
        entry->targets[entry->target_count++] = copy_path(d, target);
    }
}

void directory_add_mailbox(struct directory *d, slice address)
{
    assert(!d->is_finished);
    struct path path = parse_address(address);
    struct entry *entry = path_is_null(path) ? NULL : entry_of(d, path);
    if (!entry || entry->is_mailbox)
        return;
    entry->is_mailbox = true;
    if (d->mailbox_count == d->mailbox_capacity) {
        d->mailbox_capacity = d->mailbox_capacity ? 2 * d->mailbox_capacity : 16;
        d->mailboxes = memory_resize(d->mailboxes, d->mailbox_capacity * sizeof(struct entry *));
    }
    d->mailboxes[d->mailbox_count++] = entry;
}

void directory_finish(struct directory *d)
{
    for (size_t i = 0; i < d->mailbox_count; i++) {
        struct path *path = &d->mailboxes[i]->path;
        struct domain *domain = (struct domain *)(uintptr_t)find_domain(d, path->domain);
        if (domain && !domain->first_mailbox)
            domain->first_mailbox = path;
        if (domain && !d->first_mailbox)
            d->first_mailbox = path;
    }
    memory_free(d->mailboxes);
    d->mailboxes = NULL;
    d->is_finished = true;
}

struct directory *directory_hold(struct directory *d)
{
    __atomic_add_fetch(&d->references, 1, __ATOMIC_RELAXED);
    return d;
}

void directory_release(struct directory *d)
{
    if (!d || __atomic_sub_fetch(&d->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    map_free(&d->entries);
    map_free(&d->domains);
    memory_free(d->mailboxes);
    arena_free(&d->memory);
    memory_free(d);
}

/* --- finding ------------------------------------------------------------------------------------------------------ */

/* The name itself, or what is left of it without an extension: the longest that is known. */
static struct entry *find_extended(const struct directory *d, const struct domain *domain, slice local)
{
    struct entry *entry = find_entry(d, local, domain->name);
    while (!entry && domain->separator) {
        size_t cut = slice_find_byte_last(local, domain->separator);
        if (cut == SLICE_NOT_FOUND || cut == 0)
            return NULL;
        local = slice_head(local, cut);
        entry = find_entry(d, local, domain->name);
    }
    return entry;
}

/* Who a name at a hosted domain is: an entry, or another address that stands in for it (both NULL: nobody). */
struct identity {
    struct entry *entry;
    const struct path *instead;
};
static struct identity identify(const struct directory *d, const struct domain *domain, slice local)
{
    struct identity id = { find_extended(d, domain, local), NULL };
    if (id.entry)
        return id;
    if (!path_is_null(domain->catch_all))
        id.instead = &domain->catch_all;
    else if (slice_eq_nocase(local, SLICE("postmaster"))) /* RFC 5321 §4.5.1: somebody must read it */
        id.instead = domain->first_mailbox ? domain->first_mailbox : d->first_mailbox;
    return id;
}

/* One expansion of an alias to its end. */
struct expansion {
    const struct directory *directory;
    struct arena *memory;
    struct map seen; /* key -> one of the states below; keys in `memory` or the directory */
    struct path *targets;
    size_t count, capacity;
    size_t steps;
    bool is_loop;
    void (*nobody)(void *context, struct path target); /* NULL, or called for targets that are nobody */
    void *context;
};
static char state_open, state_done; /* their addresses mark an alias being expanded and one that is finished */

static void add_target(struct expansion *e, slice key, struct path target)
{
    if (map_get(&e->seen, key))
        return;
    map_set(&e->seen, key, &state_done);
    if (e->count == TARGETS_MAX) {
        e->is_loop = true;
        return;
    }
    if (e->count == e->capacity) {
        e->capacity = e->capacity ? 2 * e->capacity : 4;
        struct path *grown = ARENA_NEW_ARRAY(e->memory, struct path, e->capacity);
        if (e->count)
            memcpy(grown, e->targets, e->count * sizeof(*grown));
        e->targets = grown;
    }
    e->targets[e->count++] = target;
}

/* Mailboxes and outside addresses are told from aliases of the same name by a mark before the key. */
static slice target_key(struct expansion *e, struct path path)
{
    struct text text = { 0 };
    text_add_byte(&text, '>');
    text_add(&text, path.local_part);
    text_add_byte(&text, '@');
    for (size_t i = 0; i < path.domain.len; i++)
        text_add_byte(&text, ascii_lower(path.domain.ptr[i]));
    slice key = arena_copy(e->memory, text_slice(&text));
    text_free(&text);
    return key;
}

static void expand_address(struct expansion *e, struct path address, const struct entry *from, unsigned depth);

static void expand_alias(struct expansion *e, const struct entry *alias, unsigned depth)
{
    const void *state = map_get(&e->seen, alias->key);
    if (state == &state_open || depth == ALIAS_DEPTH_MAX)
        e->is_loop = true;
    if (state || e->is_loop)
        return;
    map_set(&e->seen, alias->key, &state_open);
    for (size_t i = 0; i < alias->target_count && !e->is_loop; i++)
        expand_address(e, alias->targets[i], alias, depth + 1);
    map_set(&e->seen, alias->key, &state_done);
}

static void expand_address(struct expansion *e, struct path address, const struct entry *from, unsigned depth)
{
    enum { STEPS_MAX = 10 * TARGETS_MAX }; /* many paths may lead to few targets */
    if (depth > ALIAS_DEPTH_MAX || ++e->steps > STEPS_MAX) {
        e->is_loop = true;
        return;
    }
    const struct domain *domain = find_domain(e->directory, address.domain);
    if (!domain) {
        add_target(e, target_key(e, address), address);
        return;
    }
    struct text buffer = { 0 };
    struct identity id = identify(e->directory, domain, plain_local_part(address, &buffer));
    text_free(&buffer);
    if (id.entry && id.entry->is_mailbox && (id.entry == from || !id.entry->target_count))
        add_target(e, target_key(e, id.entry->path), id.entry->path); /* from: "ann: ann, bob" keeps a copy */
    else if (id.entry)
        expand_alias(e, id.entry, depth);
    else if (id.instead && !path_eq(*id.instead, address)) /* equal: a catch-all address that is nobody itself */
        expand_address(e, *id.instead, NULL, depth + 1);
    else if (e->nobody)
        e->nobody(e->context, address);
}

static struct directory_result expand(const struct directory *d, struct path address, struct arena *memory)
{
    struct expansion e = { .directory = d, .memory = memory };
    expand_address(&e, address, NULL, 0);
    map_free(&e.seen);
    if (e.is_loop)
        return (struct directory_result){ .answer = DIRECTORY_LOOP };
    if (e.count == 0)
        return (struct directory_result){ .answer = DIRECTORY_UNKNOWN };
    return (struct directory_result){ DIRECTORY_ALIAS, e.targets, e.count };
}

struct directory_result directory_find(const struct directory *d, struct path path, struct arena *memory)
{
    assert(d->is_finished);
    bool is_bare = path.domain.len == 0 && path_is_postmaster(path);
    const struct domain *domain = is_bare ? d->first_domain : find_domain(d, path.domain);
    if (!domain)
        return (struct directory_result){ .answer = is_bare ? DIRECTORY_UNKNOWN : DIRECTORY_OUTSIDE };
    struct text buffer = { 0 };
    struct identity id = identify(d, domain, plain_local_part(path, &buffer));
    text_free(&buffer);
    if (id.entry && id.entry->is_mailbox && !id.entry->target_count)
        return (struct directory_result){ DIRECTORY_MAILBOX, &id.entry->path, 1 };
    if (id.entry)
        return expand(d, id.entry->path, memory);
    if (id.instead)
        return expand(d, *id.instead, memory);
    return (struct directory_result){ .answer = DIRECTORY_UNKNOWN };
}

bool directory_has_name(const struct directory *d, slice address)
{
    struct path path = parse_address(address);
    struct text buffer = { 0 };
    bool found = find_entry(d, plain_local_part(path, &buffer), path.domain) != NULL;
    text_free(&buffer);
    return found;
}

bool directory_has_domain(const struct directory *d, slice domain) { return find_domain(d, domain) != NULL; }

bool directory_has_mailbox(const struct directory *d, struct path path)
{
    const struct domain *domain = find_domain(d, path.domain);
    if (!domain)
        return false;
    struct text buffer = { 0 };
    const struct entry *entry = find_extended(d, domain, plain_local_part(path, &buffer));
    text_free(&buffer);
    return entry && entry->is_mailbox;
}

/* --- problems ----------------------------------------------------------------------------------------------------- */

struct problem_visit {
    void (*visit)(void *context, slice alias, slice problem);
    void *context;
    const struct entry *alias;
};

static void tell_nobody(void *context, struct path target)
{
    const struct problem_visit *v = context;
    struct text problem = { 0 };
    text_add_cstr(&problem, "its target ");
    text_add_mailbox(&problem, target);
    text_add_cstr(&problem, " is nobody here");
    v->visit(v->context, v->alias->key, text_slice(&problem));
    text_free(&problem);
}

void directory_each_problem(const struct directory *d, void (*visit)(void *context, slice alias, slice problem),
                            void *context)
{
    size_t position = 0;
    for (struct entry *entry; (entry = map_next(&d->entries, &position)) != NULL;) {
        if (!entry->target_count || !find_domain(d, entry->path.domain))
            continue;
        struct arena memory = { 0 };
        struct problem_visit v = { visit, context, entry };
        struct expansion e = { .directory = d, .memory = &memory, .nobody = tell_nobody, .context = &v };
        expand_alias(&e, entry, 0);
        if (e.is_loop)
            visit(context, entry->key, SLICE("comes back to itself, or has more than 1000 targets"));
        map_free(&e.seen);
        arena_free(&memory);
    }
}
