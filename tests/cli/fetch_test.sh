#!/bin/bash
# A tree with everything that a file system allows arrives as it is; what cannot arrive is named, and
# everything else arrives all the same.
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"

# random_file SIZE PATH
random_file() {
    head -c "$1" /dev/urandom >"$2"
}

tree=$scratch/tree
mkdir -p "$tree/empty" "$tree/deep/$(printf 'd/%.0s' {1..40})" "$tree/sizes" "$tree/names" "$tree/links"
: >"$tree/nothing"
: >"$tree/deep/$(printf 'd/%.0s' {1..40})nothing"

# Around what one read and one bpage hold, and several reads.
for size in 1 65536 999991 999992 999993 1999984 5000000; do
    random_file $size "$tree/sizes/$size"
done

for name in ' leading' 'trailing ' $'new\nline' $'tab\t' -rf --help 'Größe 数据 😀' $'\xff\xfe' '*' "quo'te\"s" \
    '...' '.hidden' '\backslash' "$(printf 'x%.0s' {1..255})"; do
    echo "$name" >"$tree/names/$name"
done
mkdir "$tree/names/- directory -"
echo x >"$tree/names/- directory -/ x "

ln -s ../nothing "$tree/links/inside"
ln -s "no such thing" "$tree/links/dangling"
ln -s /etc/passwd "$tree/links/absolute"
ln -s .. "$tree/links/up"
ln -s ../../../../../../../../etc "$tree/links/out"
ln -s . "$tree/links/circle"
ln "$tree/sizes/1" "$tree/sizes/hard"

chmod 600 "$tree/sizes/1"
chmod 755 "$tree/sizes/65536"
chmod 444 "$tree/nothing"
touch -d '2001-02-03 04:05:06.789' "$tree/sizes/999992" "$tree/empty"
touch -h -d '2002-02-03 04:05:06' "$tree/links/dangling"
chmod 555 "$tree/sizes"

serve "$tree"
expect 0 "every SHA-256 verified" "$missive" fetch "$address" "$scratch/copy"
same_tree "$tree" "$scratch/copy"

# Once more into the same place, read-only directories and all; and one RPC at a time.
expect 0 "" "$missive" fetch --quiet "$address" "$scratch/copy"
[ -z "$output" ] || fail "--quiet said: $output"
same_tree "$tree" "$scratch/copy"
expect 0 '"failures":0' "$missive" fetch --json --in-flight 1 "$address" "$scratch/copy"
files=$(find "$tree" -type f -printf x | wc -c)
bytes=$(find "$tree" -type f -printf '%s\n' | awk '{ s += $1 } END { print s }')
[[ $output == *"\"files\":$files,"*"\"bytes\":$bytes,"* ]] || fail "counted wrong: $output"
expect 0 "" "$missive" fetch --in-flight 1024 "$address" "$scratch/copy"
same_tree "$tree" "$scratch/copy"

# A destination that says where: relative, with a slash at its end.
(cd "$scratch" && expect 0 "" "$missive" fetch "$address" relative/)
same_tree "$tree" "$scratch/relative"
stop TERM

# More names than one page of a listing holds.
mkdir "$scratch/many"
(cd "$scratch/many" && seq -f "%.0f-$(printf 'x%.0s' {1..200})" 1 5000 | xargs touch)
serve "$scratch/many"
expect 0 "5,000 files" "$missive" fetch "$address" "$scratch/many-copy"
same_tree "$scratch/many" "$scratch/many-copy"
stop TERM

# Pipes are left out, and said to be; that is no failure.
mkdir "$scratch/odd"
mkfifo "$scratch/odd/pipe"
echo x >"$scratch/odd/file"
serve "$scratch/odd"
expect 0 "pipe: left out" "$missive" fetch "$address" "$scratch/odd-copy"
[ ! -e "$scratch/odd-copy/pipe" ] || fail "a pipe was fetched"
[ -e "$scratch/odd-copy/file" ] || fail "the file beside a pipe was not fetched"
stop TERM

# A server that may not read everything.
mkdir "$scratch/locked" "$scratch/locked/directory" "$scratch/locked/no names"
echo secret >"$scratch/locked/file"
echo public >"$scratch/locked/public"
echo hidden >"$scratch/locked/no names/hidden"
chmod 000 "$scratch/locked/file" "$scratch/locked/directory"
chmod 444 "$scratch/locked/no names"
if [ "$(id -u)" -eq 0 ]; then
    cp -L "$missive" "$TEST_BUILD_DIR/libmissive.so.0" "$scratch"
    chmod 755 "$scratch" "$scratch/locked" "$scratch/missive"
    missive=$scratch/missive SERVE_AS="setpriv --reuid 65534 --regid 65534 --clear-groups \
        env LD_LIBRARY_PATH=$scratch" serve "$scratch/locked"
else
    serve "$scratch/locked"
fi
expect 1 "file: the server may not read it" "$missive" fetch "$address" "$scratch/locked-copy"
[[ $output == *"directory: the server may not read it"* ]] || fail "not told of the directory: $output"
[[ $output == *"no names/hidden: the server may not look at it"* ]] || fail "not told: $output"
[[ $output == *"3 failures"* ]] || fail "counted wrong: $output"
[ "$(cat "$scratch/locked-copy/public")" = public ] || fail "the readable file was not fetched"
[ ! -e "$scratch/locked-copy/file" ] || fail "an unreadable file has a copy"
chmod -R u+rwx "$scratch/locked-copy" # its directories are as locked as the original's
no_partial_files "$scratch/locked-copy"
stop TERM
