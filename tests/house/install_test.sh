#!/bin/bash
# A stranger builds against the installed package: `cmake --install` into an
# empty prefix, then a program through pkg-config (shared and static) and one
# through find_package, each of which prints the version it runs with.
set -euo pipefail
source_dir=${TEST_SOURCE_DIR:?}
build_dir=${TEST_BUILD_DIR:?}
cc=${CC:-cc}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
prefix=$scratch/prefix
cmake --install "$build_dir" --prefix "$prefix" >"$scratch/install.log"

# A sanitized library needs its runtime in the program as well.
sanitize=$(sed -n 's/^MISSIVE_SANITIZE:[A-Z]*=//p' "$build_dir/CMakeCache.txt")
flags=(${sanitize:+"-fsanitize=$sanitize"})

version=$(sed -n 's/^  VERSION \([0-9.]*\)$/\1/p' "$source_dir/CMakeLists.txt")
cat >"$scratch/program.c" <<'PROGRAM'
#include <missive/socket.h>
#include <stdio.h>
int main(void)
{
    return puts(msv_version()) < 0;
}
PROGRAM

says_version() {
    local how=$1 said
    shift
    said=$("$@") || { echo "$how: does not run"; exit 1; }
    [ "$said" = "$version" ] || { echo "$how: says '$said', not '$version'"; exit 1; }
}

pc=$(find "$prefix" -name missive.pc)
export PKG_CONFIG_PATH=${pc%/*}
[ "$(pkg-config --modversion missive)" = "$version" ]
library_dir=$(pkg-config --variable=libdir missive)
read -ra compile < <(pkg-config --cflags missive)
read -ra link < <(pkg-config --libs missive)
read -ra link_static < <(pkg-config --libs --static missive)

"$cc" "${flags[@]}" "${compile[@]}" -o "$scratch/shared" "$scratch/program.c" "${link[@]}"
says_version 'pkg-config, shared' env LD_LIBRARY_PATH="$library_dir" "$scratch/shared"

"$cc" "${flags[@]}" "${compile[@]}" -o "$scratch/static" "$scratch/program.c" \
    "${link_static[@]/#-lmissive/-l:libmissive.a}"
says_version 'pkg-config, static' "$scratch/static"

mkdir "$scratch/project"
cp "$scratch/program.c" "$scratch/project"
cat >"$scratch/project/CMakeLists.txt" <<'PROJECT'
cmake_minimum_required(VERSION 3.25)
project(stranger LANGUAGES C)
find_package(missive 0.1 REQUIRED)
add_executable(stranger program.c)
target_link_libraries(stranger PRIVATE missive::missive)
PROJECT
if ! { cmake -S "$scratch/project" -B "$scratch/project/build" -DCMAKE_PREFIX_PATH="$prefix" \
    -DCMAKE_C_COMPILER="$cc" -DCMAKE_C_FLAGS="${flags[*]}" &&
    cmake --build "$scratch/project/build"; } >"$scratch/project.log" 2>&1; then
    cat "$scratch/project.log"
    exit 1
fi
says_version 'find_package' "$scratch/project/build/stranger"

# Every man page of the tree, and the command when it was built, arrived.
for page in "$source_dir"/man/*.[1-9]; do
    [ -e "$page" ] || continue
    [ -n "$(find "$prefix" -path "*/man${page##*.}/*" -name "$(basename "$page")")" ] ||
        { echo "$(basename "$page") was not installed"; exit 1; }
done
if [ -e "$build_dir/missive" ]; then
    "$prefix/bin/missive" --version >"$scratch/said"
    grep -qF "$version" "$scratch/said" || { echo "missive --version says:"; cat "$scratch/said"; exit 1; }
fi
