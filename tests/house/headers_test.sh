#!/bin/bash
# Every public header can be included alone, in standard C and (where there is
# a C++ compiler) in C++, without a warning; every internal one alone in gnu17.
set -euo pipefail
source_dir=${TEST_SOURCE_DIR:?}
cc=${CC:-cc}
cd "$source_dir"

bad=0
# alone HEADER COMPILER FLAG...: compiles a file that includes only HEADER.
alone() {
    local header=$1
    shift
    if ! output=$(echo "#include \"$header\"" |
        "$@" -Wall -Wextra -Werror -fsyntax-only -Iinclude -Isrc -I. - 2>&1); then
        echo "$header does not compile alone with: $*"
        echo "$output"
        bad=1
    fi
}

alone no/such/header.h "$cc" -xc >/dev/null
[ $bad -eq 1 ] || { echo "a header that does not exist passes"; exit 1; }
bad=0

for header in include/missive/*.h; do
    alone "$header" "$cc" -xc -std=c11 -Wpedantic
    if command -v c++ >/dev/null; then
        alone "$header" c++ -xc++ -std=c++11
    fi
done
for header in src/*/*.h sim/*.h; do
    alone "$header" "$cc" -xc -std=gnu17 -D_GNU_SOURCE
done
exit $bad
