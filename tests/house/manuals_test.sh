#!/bin/bash
# The manual says what the headers say: every public function has its place in
# a page's NAME and SYNOPSIS with the same arguments, and every errno that a
# header mentions is in the page that explains it. Pages are also clean for
# mandoc, where it is installed.
set -euo pipefail
cd "${TEST_SOURCE_DIR:?}"

# prototypes HEADER: "name type argument,type argument", one a line, of the
# functions declared there, comments and attributes aside.
prototypes() {
    "${CC:-cc}" -E -P -fpreprocessed -dD "$1" | grep -v '^#' | tr '\n' ' ' | tr ';' '\n' |
        sed -nE 's/^.*[^a-z_](msv_[a-z_]+)\((.*)\) *$/\1 \2/p' |
        sed -E 's/ *, */,/g; s/ +/ /g; s/ $//' | sort
}

# synopsis PAGE: the same, of a page's SYNOPSIS.
synopsis() {
    awk '
        function show() { print name " " list; name = ""; list = "" }
        function add(text) { list = list == "" ? text : list "," text }
        /^\.Sh/ { inside = $2 == "SYNOPSIS" }
        !inside { next }
        /^\.Fn / {
            n = split(substr($0, 5), part, "\"")
            name = part[1]
            sub(/ +$/, "", name)
            for (i = 2; i <= n; i += 2) add(part[i])
            show()
        }
        /^\.Fo / { name = $2 }
        /^\.Fa / { gsub(/^\.Fa "|"$/, ""); add($0) }
        /^\.Fc/ { show() }' "$1" | sort
}

# names PAGE: what its NAME lists.
names() {
    sed -n '/^\.Sh NAME/,/^\.Sh LIBRARY/p' "$1" | sed -nE 's/^\.Nm ([a-z_]+).*/\1/p' | sort
}

bad=0
# same WHAT FILE FILE: their difference is a finding.
same() {
    if ! diff "$2" "$3" >"$scratch/diff"; then
        echo "$1 (< header, > page):"
        cat "$scratch/diff"
        bad=1
    fi
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# check HEADER PAGE ERRNO-PAGE...
check() {
    local header=include/missive/$1 page=man/$2
    shift 2
    prototypes "$header" >"$scratch/header"
    [ "$(wc -l <"$scratch/header")" -ge 10 ] || { echo "$header: few functions"; bad=1; }
    synopsis "$page" >"$scratch/page"
    same "$page: SYNOPSIS" "$scratch/header" "$scratch/page"
    cut -d' ' -f1 "$scratch/header" | grep -vx msv_handler >"$scratch/header.names"
    names "$page" >"$scratch/page.names"
    same "$page: NAME" "$scratch/header.names" "$scratch/page.names"
    while read -r errno; do
        if ! grep -qE "Er $errno\b" "$page" "$@"; then
            echo "$header mentions $errno, which is not in $page $*"
            bad=1
        fi
    done < <(grep -oE '\bE[A-Z]{3,}\b' "$header" | sort -u)
}

check socket.h msv_socket.3 man/homa.7
check rpc.h msv_rpc.3

if command -v mandoc >/dev/null; then
    mandoc -T lint -W warning man/*.[1-9] || bad=1
fi
exit $bad
