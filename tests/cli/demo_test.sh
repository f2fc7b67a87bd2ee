#!/bin/bash
# The demo, on a small tree: it passes, also as an ordinary user; it notices a copy that differs; and it
# leaves nothing behind.
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"
demo=${TEST_SOURCE_DIR:?}/tools/demo
export TMPDIR=$scratch/tmp MISSIVE=$missive
mkdir -m 1777 "$TMPDIR"

nothing_left() {
    [ -z "$(ls -A "$TMPDIR")" ] || fail "left behind: $(ls -A "$TMPDIR")"
}

mkdir "$scratch/tree"
cp -r "$TEST_SOURCE_DIR/src" "$TEST_SOURCE_DIR/include" "$scratch/tree"
ln -s src/cli "$scratch/tree/link"

expect 2 "usage: tools/demo" "$demo" a b
expect 1 "there is no directory $scratch/none" "$demo" "$scratch/none"
expect 1 "type make first" env MISSIVE="$scratch/none" "$demo"

expect 0 "Both copies are the same as the original" "$demo" "$scratch/tree"
files=$(find "$scratch/tree" -type f -printf x | wc -c)
for pass in 'plain' '2 % loss, reordering'; do
    grep -qE "^$pass +$files +1 " <<<"$output" || fail "no line of '$pass' with $files files: $output"
done
nothing_left

# A fetch that damages what it fetched, and one that forgets a file.
cat >"$scratch/damage" <<'SCRIPT'
#!/bin/sh
[ "$1" = fetch ] || exec "$REAL" "$@"
"$REAL" "$@" || exit
for last; do :; done
if [ "$DAMAGE" = change ]; then echo >>"$last/src/CMakeLists.txt"; else rm "$last/src/CMakeLists.txt"; fi
SCRIPT
chmod +x "$scratch/damage"
for damage in change remove; do
    expect 1 "the copy differs from the original" \
        env REAL="$missive" DAMAGE=$damage MISSIVE="$scratch/damage" "$demo" "$scratch/tree"
    nothing_left
done

if [ "$(id -u)" -eq 0 ]; then
    cp -L "$missive" "$TEST_BUILD_DIR/libmissive.so.0" "$demo" "$scratch"
    chmod -R a+rX "$scratch"
    expect 0 "Both copies are the same as the original" setpriv --reuid 65534 --regid 65534 --clear-groups \
        env LD_LIBRARY_PATH="$scratch" MISSIVE="$scratch/missive" "$scratch/demo" "$scratch/tree"
    nothing_left
fi
