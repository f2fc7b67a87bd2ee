#!/bin/bash
# The comparison of simulator and real stack works from end to end: a second of it over a veth pair, and
# what it prints has all of its parts. How near the figures are to each other, a second cannot tell, on a
# machine that does other things. Without root, or without tbf in the kernel, it skips (77).
set -euo pipefail
compare=${TEST_SOURCE_DIR:?}/tools/sim-vs-real
export BUILD=${TEST_BUILD_DIR:?}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    echo "FAILED: $*" >&2
    cat "$scratch/said" >&2
    exit 1
}

status=0
"$compare" --no-such-option x >"$scratch/said" 2>&1 || status=$?
[ $status -eq 2 ] || fail "an unknown option gives status $status"
status=0
BUILD=$scratch "$compare" --smoke >"$scratch/said" 2>&1 || status=$?
{ [ $status -eq 1 ] && grep -q 'must have been built' "$scratch/said"; } || fail "no word of what is not built"

[ -x "$BUILD/bench/missive-load" ] || { echo "skipped: the benchmarks have not been built"; exit 77; }
# A sanitizer's library does its work in a hundred times the time: this is no test of it.
status=0
"$compare" --smoke --output "$scratch/kept" >"$scratch/said" 2>&1 || status=$?
[ $status -ne 77 ] || { cat "$scratch/said"; exit 77; }
[ $status -eq 0 ] || fail "status $status"
grep -q 'time on the idle path' "$scratch/said" || fail "no times on the idle path"
rows=$(grep -cE '^ +[0-9]+ +[0-9]+ +[0-9]+ \|' "$scratch/said") || true
[ "$rows" -ge 10 ] || fail "only $rows rows of slowdowns"
grep -qE '^beyond a ratio of 1.5' "$scratch/said" || fail "no verdict"
grep -qE ' 0 not answered' "$scratch/kept/real-1.txt" || fail "messages were not answered"
grep -qE ' 0 unfinished' "$scratch/kept/sim-1.txt" || fail "simulated messages did not finish"
[ -z "$(ip netns list | grep -E "^ml[cs]$$" || true)" ] || fail "a namespace is left"
