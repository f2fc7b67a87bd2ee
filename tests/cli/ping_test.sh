#!/bin/bash
# ping tells each time and a summary, and exits with 1 when nobody answered.
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"

expect 1 "nobody listens on 127.0.0.1:9 (is \`missive serve\` running there?)" "$missive" ping 127.0.0.1:9
[[ $output == *"1 sent, 0 answered"* ]] || fail "the summary is wrong: $output"
expect 1 "the host of no.such.host.invalid:1 is unknown" "$missive" ping no.such.host.invalid:1

serve "$here"
expect 0 "3 sent, 3 answered; min " "$missive" ping --count 3 --interval 0.01 "$address"
[ "$(grep -c "^100 bytes from $address: rpc=" <<<"$output")" -eq 3 ] || fail "not three lines: $output"
expect 0 "20 sent, 20 answered" "$missive" ping --quiet --count 20 --interval 0 --size 1000000 "$address"
[ "$(wc -l <<<"$output")" -eq 1 ] || fail "--quiet said more than the summary: $output"
expect 0 "4 bytes from" "$missive" ping --count 1 --size 4 "$address"
expect 0 "100 sent, 100 answered" env MISSIVE_CHAOS=seed=1,drop=0.1,reorder=0.1,dup=0.1 \
    "$missive" ping --quiet --count 100 --interval 0 --size 20000 "$address"

# Interrupted, it still tells what it has.
env --default-signal=INT "$missive" ping --count 1000000 --interval 0.01 "$address" >"$scratch/out" &
ping=$!
until grep -q rpc=3 "$scratch/out"; do sleep 0.01; done
kill -INT $ping
wait $ping || fail "exit status $? after an interrupt"
grep -q " sent, .* answered; min " "$scratch/out" || fail "no summary: $(cat "$scratch/out")"
stop TERM
