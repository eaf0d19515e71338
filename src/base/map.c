#include "base/map.h"
#include "base/memory.h"
#include "base/random.h"
#include <pthread.h>

/*
 * Both tables use linear probing with a power of two of places, at most three quarters full. Removing moves the
 * entries behind up (no tombstones), so a table that is filled and emptied for years stays as fast as new.
 */
enum { MAP_SMALLEST = 16 };

static struct {
    uint64_t a, b;
} seed;

static void choose_seed(void) { random_octets(&seed, sizeof(seed)); }

static inline uint64_t rotate(uint64_t x, unsigned bits) { return x << bits | x >> (64 - bits); }

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

/* SipHash-1-3: one round a word, three at the end. */
static uint64_t sip_hash(slice s)
{
    uint64_t v[4] = { seed.a ^ 0x736f6d6570736575, seed.b ^ 0x646f72616e646f6d, seed.a ^ 0x6c7967656e657261,
                      seed.b ^ 0x7465646279746573 };
    uint64_t word = 0, last = (uint64_t)s.len << 56;
    size_t whole = s.len & ~(size_t)7;
    for (size_t i = 0; i < whole; i += 8) {
        memcpy(&word, s.ptr + i, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    for (size_t i = whole; i < s.len; i++)
        last |= (uint64_t)(unsigned char)s.ptr[i] << 8 * (i - whole);
    v[3] ^= last;
    sip_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t hash_octets(slice s)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, choose_seed);
    return sip_hash(s);
}

static bool must_grow(size_t count, size_t capacity) { return (count + 1) * 4 > capacity * 3; }

/* True when an entry whose home is `home` and that stands at `place` may move into `hole` before it. */
static bool may_move(size_t home, size_t hole, size_t place, size_t mask)
{
    return ((place - home) & mask) >= ((place - hole) & mask);
}

struct map_entry {
    slice key;
    uint64_t hash;
    void *value; /* NULL: a free place */
};

/* Where the key stands, or the free place where it would. */
static size_t map_place(const struct map *map, slice key, uint64_t hash)
{
    size_t mask = map->capacity - 1, place = hash & mask;
    while (map->entries[place].value && (map->entries[place].hash != hash || !slice_eq(map->entries[place].key, key)))
        place = (place + 1) & mask;
    return place;
}

static void map_grow(struct map *map)
{
    struct map old = *map;
    map->capacity = size_max(old.capacity * 2, MAP_SMALLEST);
    map->entries = memory_new(map->capacity * sizeof(struct map_entry));
    size_t mask = map->capacity - 1;
    for (size_t i = 0; i < old.capacity; i++) {
        if (!old.entries[i].value)
            continue;
        size_t place = old.entries[i].hash & mask;
        while (map->entries[place].value)
            place = (place + 1) & mask;
        map->entries[place] = old.entries[i];
    }
    memory_free(old.entries);
}

void *map_get(const struct map *map, slice key)
{
    if (map->count == 0)
        return NULL;
    return map->entries[map_place(map, key, hash_octets(key))].value;
}

void *map_set(struct map *map, slice key, void *value)
{
    assert(value);
    if (must_grow(map->count, map->capacity))
        map_grow(map);
    uint64_t hash = hash_octets(key);
    struct map_entry *entry = &map->entries[map_place(map, key, hash)];
    void *before = entry->value;
    *entry = (struct map_entry){ .key = key, .hash = hash, .value = value };
    if (!before)
        map->count++;
    return before;
}

void *map_remove(struct map *map, slice key)
{
    if (map->count == 0)
        return NULL;
    size_t mask = map->capacity - 1, hole = map_place(map, key, hash_octets(key));
    void *removed = map->entries[hole].value;
    if (!removed)
        return NULL;
    for (size_t place = (hole + 1) & mask; map->entries[place].value; place = (place + 1) & mask)
        if (may_move(map->entries[place].hash & mask, hole, place, mask)) {
            map->entries[hole] = map->entries[place];
            hole = place;
        }
    map->entries[hole] = (struct map_entry){ 0 };
    map->count--;
    return removed;
}

void *map_next(const struct map *map, size_t *position)
{
    while (*position < map->capacity) {
        void *value = map->entries[(*position)++].value;
        if (value)
            return value;
    }
    return NULL;
}

void map_free(struct map *map)
{
    memory_free(map->entries);
    *map = (struct map){ 0 };
}

struct id_map_entry {
    uint64_t key;
    void *value; /* NULL: a free place */
};

/* The finalizer of MurmurHash3: ids are ours, so this only has to spread. */
static uint64_t hash_id(uint64_t id)
{
    id ^= id >> 33;
    id *= 0xff51afd7ed558ccd;
    id ^= id >> 33;
    id *= 0xc4ceb9fe1a85ec53;
    return id ^ id >> 33;
}

static size_t id_map_place(const struct id_map *map, uint64_t key)
{
    size_t mask = map->capacity - 1, place = hash_id(key) & mask;
    while (map->entries[place].value && map->entries[place].key != key)
        place = (place + 1) & mask;
    return place;
}

static void id_map_grow(struct id_map *map)
{
    struct id_map old = *map;
    map->capacity = size_max(old.capacity * 2, MAP_SMALLEST);
    map->entries = memory_new(map->capacity * sizeof(struct id_map_entry));
    for (size_t i = 0; i < old.capacity; i++)
        if (old.entries[i].value)
            map->entries[id_map_place(map, old.entries[i].key)] = old.entries[i];
    memory_free(old.entries);
}

void *id_map_get(const struct id_map *map, uint64_t key)
{
    if (map->count == 0)
        return NULL;
    return map->entries[id_map_place(map, key)].value;
}

void *id_map_set(struct id_map *map, uint64_t key, void *value)
{
    assert(value);
    if (must_grow(map->count, map->capacity))
        id_map_grow(map);
    struct id_map_entry *entry = &map->entries[id_map_place(map, key)];
    void *before = entry->value;
    *entry = (struct id_map_entry){ .key = key, .value = value };
    if (!before)
        map->count++;
    return before;
}

void *id_map_remove(struct id_map *map, uint64_t key)
{
    if (map->count == 0)
        return NULL;
    size_t mask = map->capacity - 1, hole = id_map_place(map, key);
    void *removed = map->entries[hole].value;
    if (!removed)
        return NULL;
    for (size_t place = (hole + 1) & mask; map->entries[place].value; place = (place + 1) & mask)
        if (may_move(hash_id(map->entries[place].key) & mask, hole, place, mask)) {
            map->entries[hole] = map->entries[place];
            hole = place;
        }
    map->entries[hole] = (struct id_map_entry){ 0 };
    map->count--;
    return removed;
}

void *id_map_next(const struct id_map *map, size_t *position)
{
    while (*position < map->capacity) {
        void *value = map->entries[(*position)++].value;
        if (value)
            return value;
    }
    return NULL;
}

void id_map_free(struct id_map *map)
{
    memory_free(map->entries);
    *map = (struct id_map){ 0 };
}
