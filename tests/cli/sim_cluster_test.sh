#!/bin/bash
# sim cluster: table and files, the same however many processes there are; and who types something
# wrong learns what is right.
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"

cluster=("$missive" sim cluster --topology single --hosts 8 --messages 300 --workload w2)

expect 0 "Usage: missive sim cluster [OPTION...]" "$missive" sim cluster --help

# Wrong arguments: a sentence, and status 2. Nothing is written.
cd "$scratch"
wrong() { # TEXT OPTION...
    local text=$1
    shift
    expect 2 "$text" "${cluster[@]}" "$@"
    [[ $output == "missive sim cluster: "* ]] || fail "not said by the command: $output"
}
wrong "--load takes a share" --load much
wrong "--load takes a share" --load -1
wrong "--load takes a share" --load nan
wrong "--load takes a share" --load 11
wrong "the load is a share" --load 0
wrong "--messages takes a number" --messages 0
wrong "--runs takes a number" --runs 0
wrong "--jobs takes a number" --jobs 0
wrong "--topology is racks or single, not 'ring'" --topology ring
wrong "--hosts takes a number" --hosts 1
wrong "it must divide the number of hosts" --topology racks --hosts 17
wrong "the speed of hosts' links must divide" --link 3
wrong "must be as fast as those of hosts" --topology racks --hosts 16 --link 100 --core-link 40
wrong "--priorities takes a number" --priorities 9
wrong "an incast has from 1 sender to one less than there are hosts" --incast 8
wrong "--loss takes a share" --loss 2
wrong "--overcommit takes a number" --overcommit 65
wrong "--set takes KNOB=VALUE" --set window
wrong "there is no knob 'windou'" --set windou=20000
wrong "'much' is not a value of window" --set window=much
wrong "resend_ticks must not exceed timeout_ticks" --set resend_ticks=50 --set timeout_ticks=5
wrong "w9" --workload w9
wrong "/no/such/file" --workload /no/such/file
echo "10 x" >bad
wrong "line 1" --workload ./bad
echo "64000001 1" >long
wrong "longer than hosts take" --workload ./long
wrong "Too many arguments" w4
rm bad long
[ -z "$(ls)" ] || fail "something was written: $(ls)"

# The table goes to standard output, with the files' names at its end; what it cost to the other.
"${cluster[@]}" --workload w3 --load 0.8 >out 2>err || fail "exit status $?: $(cat err)"
for text in "all:" "links " "level " "published Homa" "wasted downlink time" "in 1 run" "./w3-80.csv" "./w3-80.svg"; do
    grep -qF -- "$text" out || fail "'$text' is not in the table: $(cat out)"
done
grep -qE '^simulator: [0-9]+ packets delivered in [0-9]+\.[0-9]{2} s of CPU time, [0-9]+ a second; [0-9]+ MiB at most$' err ||
    fail "the cost is not told: $(cat err)"
! grep -q "NOT in the table" out || fail "messages are missing: $(cat out)"
head -n 1 w3-80.csv | grep -qx 'lower_bytes,upper_bytes,cumulative_share_percent,messages,mean,p50,p99,p999' ||
    fail "the CSV begins with $(head -n 1 w3-80.csv)"
[ "$(awk -F, 'NR > 1 { n += $4 } END { print n }' w3-80.csv)" -eq 300 ] || fail "not 300 messages: $(cat w3-80.csv)"
grep -q '</svg>' w3-80.svg || fail "no chart: $(tail w3-80.svg)"
rm out err w3-80.*

# Elsewhere, nowhere, and where nothing can be.
mkdir there
expect 0 "there/w1-80.csv" "${cluster[@]}" --workload w1 --output there
[ "$(ls there)" == $'w1-80.csv\nw1-80.svg' ] || fail "other files are there: $(ls there)"
rm -r there
expect 0 "all:" "${cluster[@]}" --no-files
[ -z "$(ls)" ] || fail "--no-files left $(ls)"
expect 1 "cannot write no-such-directory/w2-80.csv: No such file or directory" "${cluster[@]}" --output no-such-directory

# One process after the other, or all at once: the same table. Another seed: another one.
result() { # OPTION...
    "${cluster[@]}" --no-files --messages 100 --runs 5 "$@" 2>"$scratch/errors" || fail "exit status $?: $(cat "$scratch/errors")"
}
first=$(result --jobs 1)
[[ $first == *"in 5 runs"* ]] || fail "not five runs: $first"
for jobs in 2 5 100; do
    [ "$(result --jobs "$jobs")" == "$first" ] || fail "--jobs $jobs makes another result than --jobs 1"
done
[ "$(result --seed 1)" == "$first" ] || fail "the first seed is not 1"
[ "$(result --seed 2)" != "$first" ] || fail "the seed changes nothing"

# What is asked for is what is simulated.
differs() { # OPTION...
    [ "$(result "$@")" != "$first" ] || fail "$* changes nothing"
}
differs --load 0.3
differs --workload w1
differs --hosts 9
differs --topology racks --hosts 16
differs --link 25
differs --priorities 1
differs --overcommit 1
differs --paper
differs --incast 4
differs --buffer 1600
differs --warmup 10
differs --set window=5000
result --loss 0.02 | grep -q "packets lost at random: [1-9]" || fail "--loss loses nothing"

# A user's own sizes.
printf '# bytes and how often\n100 3\n5000 1.5\n' >"$scratch/own.tsv"
"${cluster[@]}" --workload ./own.tsv >"$scratch/out" 2>"$scratch/errors" || fail "own sizes: $(cat "$scratch/errors")"
[ -s own.tsv-80.csv ] || fail "no CSV of own sizes: $(ls)"
