#!/bin/bash
# A fetch that cannot go on says why, exits with 1 and leaves nothing half-done under a file's name.
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"

mkdir "$scratch/tree"
for i in $(seq 1000); do
    head -c 3000 /dev/urandom >"$scratch/tree/$i"
done

# complete_as_far_as_it_goes COPY: each file there is whole, and some are missing.
complete_as_far_as_it_goes() {
    local file count=0
    no_partial_files "$1"
    for file in "$1"/*; do
        cmp "$file" "$scratch/tree/${file##*/}" || fail "$file is not complete"
        count=$((count + 1))
    done
    [ $count -gt 0 ] || fail "nothing arrived before the end"
    [ $count -lt 1000 ] || fail "everything had arrived before the end: the test proves nothing"
}

# begin_slow_fetch COPY: starts one whose packets are delayed, and returns when the first files are there.
# Sets $fetch (its process).
begin_slow_fetch() {
    MISSIVE_CHAOS="seed=1,delay_us=5000" env --default-signal=INT \
        "$missive" fetch --in-flight 2 "$address" "$1" >"$scratch/fetch.out" 2>&1 &
    fetch=$!
    until [ -n "$(find "$1" -type f ! -name '.missive-*' 2>/dev/null | head -3)" ]; do
        kill -0 $fetch 2>/dev/null || fail "the fetch ended at once: $(cat "$scratch/fetch.out")"
        sleep 0.01
    done
}

# end_of_fetch TEXT: it must exit with 1 and have said TEXT.
end_of_fetch() {
    status=0
    wait $fetch || status=$?
    [ $status -eq 1 ] || fail "exit status $status: $(cat "$scratch/fetch.out")"
    grep -qF "$1" "$scratch/fetch.out" || fail "'$1' is not in: $(cat "$scratch/fetch.out")"
}

# Nobody there, or nobody of that name: told at once, and no destination is left.
expect 1 "nobody listens on 127.0.0.1:9 (is \`missive serve\` running there?)" \
    "$missive" fetch 127.0.0.1:9 "$scratch/none"
[ ! -e "$scratch/none" ] || fail "a destination was left for nothing"
expect 1 "the host of no.such.host.invalid:4146 is unknown" \
    "$missive" fetch no.such.host.invalid:4146 "$scratch/none"
expect 1 "is not HOST:PORT" "$missive" fetch localhost "$scratch/none"
expect 1 "is not HOST:PORT" "$missive" fetch localhost:x "$scratch/none"

serve "$scratch/tree"

# Destinations that are none.
echo x >"$scratch/file"
expect 1 "is not a directory" "$missive" fetch "$address" "$scratch/file"
expect 1 "the directory above it does not exist" "$missive" fetch "$address" "$scratch/no/where"
[ "$(cat "$scratch/file")" = x ] || fail "a file was damaged"

# Interrupted, in both ways.
begin_slow_fetch "$scratch/interrupted"
kill -INT $fetch
end_of_fetch interrupted
complete_as_far_as_it_goes "$scratch/interrupted"
begin_slow_fetch "$scratch/terminated"
kill -TERM $fetch
end_of_fetch interrupted
complete_as_far_as_it_goes "$scratch/terminated"

# Something in the way.
mkdir "$scratch/way" "$scratch/way/7"
expect 1 "7: not written: a directory is in the way" "$missive" fetch "$address" "$scratch/way"
[[ $output == *"1 failure: "* ]] || fail "counted wrong: $output"
cmp "$scratch/tree/8" "$scratch/way/8" || fail "the files beside it did not arrive"

# A disk that fills up; a mount of our own needs privileges.
if [ "$(id -u)" -eq 0 ] && unshare -m true 2>/dev/null; then
    mkdir "$scratch/small"
    # shellcheck disable=SC2016
    expect 1 "the disk of $scratch/small is full" unshare -m sh -c '
        mount -t tmpfs -o size=1m none "$3" || exit 99
        "$1" fetch "$2" "$3"; status=$?
        [ -z "$(find "$3" -name ".missive-*")" ] || exit 98
        exit $status' sh "$missive" "$address" "$scratch/small"
fi

# Bits that turn over on the way, beyond what checksums of the network see: whatever else they do to the
# fetch, no file that differs gets its name.
for seed in 1 2 3; do
    status=0
    MISSIVE_CHAOS=seed=$seed,corrupt=0.002 "$missive" fetch "$address" "$scratch/corrupt$seed" \
        >"$scratch/fetch.out" 2>&1 || status=$?
    [ $status -le 1 ] || fail "exit status $status: $(cat "$scratch/fetch.out")"
    [ -d "$scratch/corrupt$seed" ] || continue
    no_partial_files "$scratch/corrupt$seed"
    find "$scratch/corrupt$seed" -type f -printf '%P\0' | while IFS= read -r -d '' file; do
        cmp "$scratch/corrupt$seed/$file" "$scratch/tree/$file" || exit 1
    done || fail "a file was damaged on its way"
done

# The server is killed in the middle.
begin_slow_fetch "$scratch/killed"
kill -KILL "$server"
end_of_fetch "$address is gone"
complete_as_far_as_it_goes "$scratch/killed"
