#!/bin/bash
# The protocol cores are pure: their sources include nothing but src/base,
# src/memory and the C library's pure headers; their objects name no system
# call, clock, lock, thread or random source, and hold no writable data.
# Run by ctest on the objects it has just built, under every preset.
set -euo pipefail
source_dir=${TEST_SOURCE_DIR:?}
build_dir=${TEST_BUILD_DIR:?}
cc=${CC:-cc}

cores=(homa kcm)
pure_headers='stdint|stddef|stdbool|string|errno|limits|assert|inttypes|stdlib'

# Functions of the C library that only compute; what the compiler may insert
# (libgcc's 128-bit arithmetic included);
# the sanitizers' runtimes; the project's own names from permitted layers.
pure_symbols='mem(cpy|move|set|cmp|chr)|str(len|nlen|cmp|ncmp|chr)'
pure_symbols+='|calloc|malloc|free|abort'
pure_symbols+='|__mem(cpy|move|set)_chk|__assert_fail|__stack_chk_fail|__u?(div|mod)ti3|_GLOBAL_OFFSET_TABLE_'
pure_symbols+='|_*(asan|ubsan|tsan|sanitizer|sancov)_.*|__(start|stop)_(asan|__sancov)_.*'
pure_symbols+='|(base|mem|bpage)_.*'

# impure_includes LAYER FILE...: prints the includes that are not allowed.
impure_includes() {
    local layer=$1
    shift
    grep -nHE '^[[:space:]]*#[[:space:]]*include' "$@" |
        grep -vE "include[[:space:]]*(\"($layer|base|memory)/[a-z0-9_]+\.h\"|<($pure_headers)\.h>)" || true
}

# impure_symbols LAYER OBJECT...: prints the undefined symbols not allowed.
impure_symbols() {
    local layer=$1
    shift
    nm -u -P -A "$@" | sed -E 's/^(.*): ([^ ]+) .*/\1 \2/' |
        grep -vE " ($pure_symbols|${layer}_.*)\$" || true
}

# writable_data OBJECT...: prints variables that are not constant. What the
# loader relocates and then protects (.data.rel.ro) is constant; what a
# sanitizer adds to an object is not the core's.
writable_data() {
    nm -f sysv "$@" |
        awk -F'|' '
            { name = $1; section = $7; gsub(/ /, "", name); gsub(/ /, "", section) }
            name ~ /asan|tsan|ubsan|sancov|^\.L/ { next }
            $4 ~ /SECTION|FILE/ { next }
            section ~ /^\.(bss|data|tbss|tdata)/ && section !~ /^\.data\.rel\.ro/ ||
                section ~ /COM/ { print name " in " section }' || true
}

fail() {
    echo "$1"
    echo "$2"
    exit 1
}

# The check must be able to fail: a core with one of each sin, and one without.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cat >"$scratch/sinner.c" <<'SINNER'
#include "socket/table.h"
#include <time.h>
SINNER
cat >"$scratch/sinner_object.c" <<'SINNER'
long write(int, const void *, unsigned long);
long time(long *);
int pthread_mutex_lock(void *);
int homa_own(void);
int calls;
static int turns = 1;
static _Thread_local int mine;
int sin(void);
int sin(void)
{
    calls++;
    return (int)write(1, "x", 1) + (int)time(0) + pthread_mutex_lock(0) + homa_own() +
           turns++ + mine++;
}
SINNER
cat >"$scratch/saint.c" <<'SAINT'
#include "homa/packet.h"
#include "base/cursor.h"
#include <stdint.h>
SAINT
cat >"$scratch/saint_object.c" <<'SAINT'
void *memcpy(void *, const void *, unsigned long);
int homa_own(void *);
static const char *const names[] = {"a", "b"};
const char *innocent(void *a, unsigned long n);
const char *innocent(void *a, unsigned long n)
{
    memcpy(a, names, n);
    return names[homa_own(a)];
}
SAINT
for name in sinner saint; do
    "$cc" -fPIC -O0 -w -fno-builtin -c -o "$scratch/$name.o" "$scratch/${name}_object.c"
done
[ "$(impure_includes homa "$scratch/sinner.c" | wc -l)" -eq 2 ] ||
    fail "Bad includes pass:" "$(cat "$scratch/sinner.c")"
[ "$(impure_symbols homa "$scratch/sinner.o" | grep -cE ' (write|time|pthread_mutex_lock)$')" -eq 3 ] ||
    fail "Bad symbols pass:" "$(nm -u "$scratch/sinner.o")"
[ "$(writable_data "$scratch/sinner.o" | grep -cE '^(calls|turns|mine) ')" -eq 3 ] ||
    fail "Writable data passes:" "$(nm -f sysv "$scratch/sinner.o")"
found=$(impure_includes homa "$scratch/saint.c"; impure_symbols homa "$scratch/saint.o"
    writable_data "$scratch/saint.o")
[ -z "$found" ] || fail "Good code does not pass:" "$found"

for core in "${cores[@]}"; do
    sources=("$source_dir/src/$core"/*.[ch])
    [ -e "${sources[0]}" ] || continue
    found=$(impure_includes "$core" "${sources[@]}")
    [ -z "$found" ] || fail "src/$core includes what a pure core must not:" "$found"

    archive=$build_dir/src/$core/libmissive_$core.a
    [ -e "$archive" ] || fail "src/$core is not built:" "$archive"
    found=$(impure_symbols "$core" "$archive")
    [ -z "$found" ] || fail "src/$core calls what a pure core must not:" "$found"
    found=$(writable_data "$archive")
    [ -z "$found" ] || fail "src/$core holds writable data:" "$found"
    echo "src/$core: ${#sources[@]} files, $(nm -u -P "$archive" | awk 'NF == 2 { print $1 }' |
        sort -u | grep -vcE "^${core}_") symbols from outside, all pure"
done
