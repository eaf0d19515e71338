#include "base/memory.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

NORETURN static void out_of_memory(size_t octets)
{
    fprintf(stderr, "postrider: out of memory (%zu octets wanted); ending so that the supervisor starts anew\n",
            octets);
    abort();
}

void *memory_new(size_t octets)
{
    void *pointer = calloc(1, size_max(octets, 1));
    if (!pointer)
        out_of_memory(octets);
    return pointer;
}

void *memory_resize(void *old, size_t octets)
{
    void *pointer = realloc(old, size_max(octets, 1));
    if (!pointer)
        out_of_memory(octets);
    return pointer;
}

void *memory_copy(const void *from, size_t octets)
{
    void *pointer = malloc(size_max(octets, 1));
    if (!pointer)
        out_of_memory(octets);
    if (octets)
        memcpy(pointer, from, octets);
    return pointer;
}

char *memory_copy_cstr(const void *from, size_t octets)
{
    size_t with_nul;
    if (ADD_OVERFLOWS(octets, (size_t)1, &with_nul))
        out_of_memory(octets);
    char *pointer = malloc(with_nul);
    if (!pointer)
        out_of_memory(with_nul);
    if (octets)
        memcpy(pointer, from, octets);
    pointer[octets] = '\0';
    return pointer;
}

void memory_free(void *pointer) { free(pointer); }

void memory_wipe(void *pointer, size_t octets)
{
    if (octets)
        explicit_bzero(pointer, octets);
}

bool memory_equal_constant_time(const void *a, const void *b, size_t octets)
{
    const volatile unsigned char *left = a, *right = b;
    unsigned char difference = 0;
    for (size_t i = 0; i < octets; i++)
        difference = (unsigned char)(difference | (left[i] ^ right[i]));
    return difference == 0;
}
