#!/bin/bash
# No layer includes one above it: every #include of a project header in src/,
# include/missive/, sim/ and bench/ is one that layers.list allows. Run by ctest
# and by `make lint`; needs nothing built.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

# check_layers ROOT LIST: prints each include that LIST forbids.
check_layers() {
    local root=$1 list=$2 directory layer file
    for directory in "$root"/include/missive "$root"/src/*/ "$root"/sim "$root"/bench; do
        [ -d "$directory" ] || continue
        layer=$(basename "$directory")
        if ! grep -qE "^$layer( |\$)" "$list"; then
            echo "$layer is not in layers.list"
            continue
        fi
        find "$directory" -name '*.[ch]' | sort | while read -r file; do
            awk -v layer="$layer" -v file="${file#"$root"/}" '
                FNR == NR {
                    if ($1 == layer)
                        for (i = 1; i <= NF; i++) allowed[$i] = 1
                    next
                }
                /^[ \t]*#[ \t]*include[ \t]*("|<missive\/)/ {
                    path = $0
                    sub(/^[^"<]*["<]/, "", path)
                    sub(/[">].*/, "", path)
                    if (path !~ /^[a-z_]+\/[a-z0-9_]+\.h$/)
                        print file ":" FNR ": " path ": not of the form layer/file.h"
                    else {
                        from = path
                        sub(/\/.*/, "", from)
                        if (!(from in allowed))
                            print file ":" FNR ": " layer " may not include " path
                    }
                }' "$list" "$file"
        done
    done
}

# The check itself must be able to fail.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch/src/low" "$scratch/src/high" "$scratch/src/unlisted" "$scratch/sim"
printf 'low\nhigh low\nsim low\n' >"$scratch/list"
printf '#include "low/a.h"\n#include "high/b.h"\n' >"$scratch/src/low/up.c"
printf '#include <missive/socket.h>\n' >"$scratch/src/low/face.h"
printf '#include "../low/a.h"\n' >"$scratch/src/high/relative.c"
printf '#include "low/a.h"\n#include <stdio.h>\n' >"$scratch/src/high/fine.c"
printf '#include "high/b.h"\n#include "low/a.h"\n' >"$scratch/sim/up.c"
expected='src/high/relative.c:1: ../low/a.h: not of the form layer/file.h
src/low/face.h:1: low may not include missive/socket.h
src/low/up.c:2: low may not include high/b.h
unlisted is not in layers.list
sim/up.c:1: sim may not include high/b.h'
found=$(check_layers "$scratch" "$scratch/list")
if [ "$found" != "$expected" ]; then
    printf 'The check does not see what it should. Expected:\n%s\nFound:\n%s\n' "$expected" "$found"
    exit 1
fi

found=$(check_layers "$here/../.." "$here/layers.list")
if [ -n "$found" ]; then
    echo "$found"
    exit 1
fi
