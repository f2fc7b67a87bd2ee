/*
 * Keyed 64-bit hashing for tables whose keys a peer chooses. The key is drawn per table from the
 * seed its owner was given, so that a stranger cannot aim at one bucket. Not cryptographic.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Spreads the bits of one word over all of it (a bijection). */
static inline uint64_t base_mix(uint64_t word)
{
    word ^= word >> 32;
    word *= 0xd6e8feb86659fd93u;
    word ^= word >> 29;
    word *= 0xa0761d6478bd642fu;
    word ^= word >> 32;
    return word;
}

/* Hash of length bytes under key; the same on every machine. */
uint64_t base_hash(uint64_t key, const void *bytes, size_t length);

#endif
