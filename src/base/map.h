#pragma once
#include "base/slice.h"
/*
 * map - hash tables: by octets (struct map) and by 64-bit number (struct id_map). Keys by octets are
 * borrowed: they must live as long as the entry (usually they stand in the value). Hashing is keyed with
 * a random seed (SipHash-1-3), so that a stranger cannot choose keys that collide.
 *
 * {0} is a valid empty map. Threads: one at a time. A value is never NULL.
 */
struct map_entry;
struct map {
    struct map_entry *entries;
    size_t count, capacity;
};
void *map_get(const struct map *, slice key);
/* Returns the value that stood there before (replaced, key and all), or NULL. */
void *map_set(struct map *, slice key, void *value);
void *map_remove(struct map *, slice key); /* the removed value, or NULL */
/* Visits all: start with *position = 0; NULL at the end. The map must not change meanwhile. */
void *map_next(const struct map *, size_t *position);
void map_free(struct map *); /* the table only, not the values */

struct id_map_entry;
struct id_map {
    struct id_map_entry *entries;
    size_t count, capacity;
};
void *id_map_get(const struct id_map *, uint64_t key);
void *id_map_set(struct id_map *, uint64_t key, void *value);
void *id_map_remove(struct id_map *, uint64_t key);
void *id_map_next(const struct id_map *, size_t *position);
void id_map_free(struct id_map *);

/* Keyed hash of octets, the same for the whole life of the process. */
uint64_t hash_octets(slice);
