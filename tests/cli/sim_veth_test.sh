#!/bin/bash
# sim veth: a table and files, the same each time; and who types something wrong learns what is right.
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"

veth=("$missive" sim veth --rate 200 --burst 4000 --seconds 9 --messages 300)
cd "$scratch"

expect 0 "Usage: missive sim veth [OPTION...]" "$missive" sim veth --help
expect 2 "--load takes a share" "${veth[@]}" --load much
expect 2 "--sockets takes a number" "${veth[@]}" --sockets 5
expect 2 "--wake takes a number" "${veth[@]}" --wake -1
expect 2 "the rate must divide" "${veth[@]}" --rate 7
expect 2 "the burst must hold a full packet" "${veth[@]}" --burst 1000
expect 2 "there is no knob 'windou'" "${veth[@]}" --set windou=20000
expect 2 "resend_ticks must not exceed timeout_ticks" "${veth[@]}" --set resend_ticks=5000
expect 2 "w9" "${veth[@]}" --workload w9
expect 1 "cannot write none/table.csv" "${veth[@]}" --csv none/table.csv

expect 0 "300 messages in" "${veth[@]}" --send-cost 5000 --wake 30000 --csv a.csv --idle-csv idle.csv
first=$output
expect 0 "300 messages in" "${veth[@]}" --send-cost 5000 --wake 30000 --csv b.csv
[ "$first" = "$output" ] || fail "another table the second time"
cmp a.csv b.csv || fail "another file the second time"
[ "$(head -n 1 idle.csv)" = "length_bytes,idle_ns" ] || fail "no times on the idle path: $(cat idle.csv)"
awk -F, 'NR > 1 && $2 < 35000 { bad = 1 } END { exit bad }' idle.csv || fail "shorter than what packets cost"
