#!/bin/bash
# Seeded disasters: those that once broke something, and a few hundred others. Nothing may be wrong in
# any of them, whatever the number of processes that share the work.
set -euo pipefail

missive=${TEST_BUILD_DIR:?}/missive
seeds=${TEST_SOURCE_DIR:?}/tests/sim/seeds.txt
scratch=$(mktemp -d /tmp/missive-test-XXXXXX)
trap 'rm -rf "$scratch"' EXIT

# Sanitizers take ten times as long.
last=500
if ! grep -q '^MISSIVE_SANITIZE:STRING=$' "$TEST_BUILD_DIR/CMakeCache.txt"; then
    last=40
fi

"$missive" sim --quiet --jobs 2 --list "$seeds"
"$missive" sim --quiet --jobs 2 --seeds 1..$last

"$missive" sim --quiet --jobs 1 --seeds 1..20 >"$scratch/one"
"$missive" sim --quiet --jobs 3 --seeds 1..20 >"$scratch/three"
diff "$scratch/one" "$scratch/three"

# A replay tells and records the same run.
"$missive" sim --quiet --replay 3 --trace "$scratch/trace" >"$scratch/replay"
"$missive" sim --quiet --seed 3 >"$scratch/seed"
diff <(tail -n 1 "$scratch/replay") <(tail -n 1 "$scratch/seed")
grep -q ' DATA ' "$scratch/trace.txt"
[ -s "$scratch/trace.pcapng" ]

# What makes no sense is refused, with a sentence.
refuse() {
    local text=$1
    shift
    if "$missive" sim "$@" >"$scratch/out" 2>&1; then
        echo "was taken: missive sim $*"
        exit 1
    fi
    grep -qF -- "$text" "$scratch/out" || { cat "$scratch/out"; exit 1; }
}
refuse "which seeds?"
refuse "--seeds takes a range" --seeds 5
refuse "--seeds takes a number from 5" --seeds 5..4
refuse "one seed or many?" --seed 1 --seeds 1..2
refuse "exclude each other" --count 5 --minutes 1
refuse "--trace takes one seed" --trace --seeds 1..2
refuse "--describe takes one seed" --describe --count 2
refuse "there is no simulation 'clutser'" clutser
refuse "cannot be read" --list /nonexistent
refuse "lists no seed" --list /dev/null
refuse "cannot be written" --replay 3 --trace /nonexistent/x
