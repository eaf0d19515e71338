#include "base/memory.h"
#include "config/files.h"
#include "config/mistake.h"
#include "config/reader.h"
#include <stdlib.h>
#include <unistd.h>

static void wipe_secrets(struct config *config)
{
    for (size_t s = 0; s < SECTIONS; s++) {
        const struct section *section = &config_sections[s];
        for (size_t i = 0; i < section_count(section, config); i++) {
            void *item = section_item(section, config, i);
            for (size_t o = 0; o < section->option_count; o++) {
                slice *secret =
                    section->options[o].type == OPTION_SECRET ? option_field(&section->options[o], item) : NULL;
                if (secret && secret->len)
                    memory_wipe((char *)(uintptr_t)secret->ptr, secret->len);
            }
        }
    }
    struct config_tls *tls = &config->tls;
    if (tls->key_pem.len)
        memory_wipe((char *)(uintptr_t)tls->key_pem.ptr, tls->key_pem.len);
    if (tls->certificate_pem.len)
        memory_wipe((char *)(uintptr_t)tls->certificate_pem.ptr, tls->certificate_pem.len);
}

static struct config *read_all(slice yaml, const struct source *source, slice path, struct config_mistakes *mistakes)
{
    struct reader r = { .config = MEMORY_NEW(struct config), .mistakes = mistakes, .is_whole = true };
    struct config *config = r.config;
    config->references = 1;
    size_t mistakes_before = mistakes->count;
    reader_gather(&r, yaml, source, path);
    for (size_t id = 0; id < SECTIONS; id++)
        reader_read_section(&r, (enum section_id)id);
    if (r.is_whole)
        config_check(&r);
    for (size_t id = 0; id < SECTIONS; id++)
        memory_free(r.gathered[id].mappings);
    node_wipe(r.last_node);
    arena_free(&r.scratch);
    if (mistakes->count == mistakes_before)
        return config;
    mistakes_sort(mistakes);
    config_release(config);
    return NULL;
}

struct config *config_read_text(slice yaml, const char *name, const char *folder, struct config_mistakes *mistakes)
{
    struct source source = { slice_from_cstr(name), slice_from_cstr(folder) };
    return read_all(yaml, &source, SLICE(""), mistakes);
}

struct config *config_read_file(const char *path, struct config_mistakes *mistakes)
{
    struct text yaml = { 0 }, why = { 0 };
    struct config *config = NULL;
    slice name = slice_from_cstr(path);
    if (!file_read(path, CONFIG_FILE_MAX, &yaml, &why)) {
        mistake_add(mistakes, name, 0, 0, SLICE(""), "%s", text_cstr(&why));
    } else {
        /* The folder is made absolute: processes that use DIR later work in other folders. */
        char *here = path[0] == '/' ? NULL : getcwd(NULL, 0), *resolved = realpath(path, NULL);
        struct arena memory = { 0 };
        struct source source = { name, path_folder(path_below(&memory, slice_from_cstr(here), name)) };
        config = read_all(text_slice(&yaml), &source, slice_from_cstr(resolved ? resolved : path), mistakes);
        arena_free(&memory);
        free(resolved);
        free(here);
    }
    text_wipe_free(&yaml);
    text_free(&why);
    return config;
}

struct config *config_hold(struct config *config)
{
    __atomic_add_fetch(&config->references, 1, __ATOMIC_RELAXED);
    return config;
}

void config_release(struct config *config)
{
    if (!config || __atomic_sub_fetch(&config->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    wipe_secrets(config);
    map_free(&config->route_index);
    arena_free(&config->memory);
    memory_free(config);
}

/* --- routes ---------------------------------------------------------------------------------------------------------
 */

struct folded {
    char octets[255]; /* RFC 5321 §4.5.3.1.2 */
};
static slice fold(struct folded *folded, slice domain)
{
    size_t len = size_min(domain.len, sizeof(folded->octets));
    for (size_t i = 0; i < len; i++)
        folded->octets[i] = ascii_lower(domain.ptr[i]);
    return slice_from(folded->octets, len);
}

const struct config_route *config_find_exact_route(const struct config *config, slice domain)
{
    struct folded folded;
    return map_get(&config->route_index, fold(&folded, domain));
}

const struct config_route *config_find_route(const struct config *config, slice domain)
{
    struct folded folded;
    slice name = fold(&folded, domain);
    const struct config_route *best = map_get(&config->route_index, name);
    const struct config_route *any = map_get(&config->route_index, SLICE("*"));
    if (any && (!best || any < best))
        best = any;
    /* ".example.org" for "mail.example.org", then ".org". */
    for (size_t dot = slice_find_byte(name, '.'); dot != SLICE_NOT_FOUND; dot = slice_find_byte(name, '.')) {
        name = slice_tail(name, dot);
        const struct config_route *route = map_get(&config->route_index, name);
        if (route && (!best || route < best))
            best = route;
        name = slice_tail(name, 1);
    }
    return best;
}
