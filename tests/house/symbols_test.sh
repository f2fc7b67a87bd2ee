#!/bin/bash
# libmissive.so exports the functions of include/missive/, each with its version
# node, and nothing else; its soname is the promised one.
set -euo pipefail
source_dir=${TEST_SOURCE_DIR:?}
library=${TEST_BUILD_DIR:?}/libmissive.so
cc=${CC:-cc}

# exports LIBRARY: name@@version of each exported symbol, the nodes left out.
exports() {
    nm -D --defined-only "$1" | awk '$2 != "A" { print $3 }' | sort
}

# strangers LIBRARY: the exports that are not msv_* of a MISSIVE node.
strangers() {
    exports "$1" | grep -vE '^msv_[a-z0-9_]+@@MISSIVE_[0-9]+\.[0-9]+$' || true
}

# declared FILE...: the functions that these headers declare; comments, types
# and inline functions left out.
declared() {
    sed -E 's@//.*@@' "$@" | tr '\n' ' ' | sed -E 's@/\*([^*]|\*+[^*/])*\*+/@ @g' | sed 's/[;}]/\n/g' |
        grep -vE '\b(typedef|static)\b' |
        grep -oE '\bmsv_[a-z0-9_]+[[:space:]]*\(' | sed -E 's/[[:space:]]*\(//' | sort -u
}

fail() {
    echo "$1"
    echo "$2"
    exit 1
}

# The check must be able to fail.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
printf 'int msv_good(void){return 0;}\nint stranger(void){return 0;}\n' >"$scratch/leak.c"
printf 'MISSIVE_9.9 { global: msv_*; stranger; local: *; };\n' >"$scratch/leak.map"
"$cc" -shared -fPIC -w -o "$scratch/leak.so" -Wl,--version-script="$scratch/leak.map" "$scratch/leak.c"
[ "$(strangers "$scratch/leak.so")" = 'stranger@@MISSIVE_9.9' ] ||
    fail "A leaked symbol passes; exports seen:" "$(exports "$scratch/leak.so")"

found=$(strangers "$library")
[ -z "$found" ] || fail "libmissive.so exports what it should not:" "$found"

declared "$source_dir"/include/missive/*.h >"$scratch/declared"
exports "$library" | sed 's/@.*//' | sort -u >"$scratch/exported"
found=$(comm -23 "$scratch/declared" "$scratch/exported")
[ -z "$found" ] || fail "Declared in include/missive/, not exported:" "$found"
found=$(comm -13 "$scratch/declared" "$scratch/exported")
[ -z "$found" ] || fail "Exported, in no header of include/missive/:" "$found"

readelf -d "$library" | grep -qF 'soname: [libmissive.so.0]' ||
    fail "The soname is not libmissive.so.0:" "$(readelf -d "$library" | grep -i soname)"
echo "$(wc -l <"$scratch/exported") functions, declared and exported"
