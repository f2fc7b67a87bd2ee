/*
 * The keyed hash behind every table that is looked up by what a packet says. Words are folded in
 * one after the other with base_mix(), so each input bit reaches every output bit.
 */
#include "base/hash.h"

#include <endian.h>
#include <string.h>

uint64_t base_hash(uint64_t key, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    uint64_t hash = base_mix(key ^ length);

    for (; length >= sizeof(uint64_t); at += sizeof(uint64_t), length -= sizeof(uint64_t)) {
        uint64_t word;

        memcpy(&word, at, sizeof(word));
        hash = base_mix(hash ^ le64toh(word)) + key;
    }
    if (length > 0) {
        uint64_t word = 0;

        memcpy(&word, at, length);
        hash = base_mix(hash ^ le64toh(word)) + key;
    }
    return base_mix(hash);
}
