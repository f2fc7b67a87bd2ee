# What the command's tests share: sourced by *_test.sh. Gives $missive, a scratch directory $scratch that
# goes away at the end together with every server, and the functions below.
# shellcheck shell=bash
set -euo pipefail

missive=${TEST_BUILD_DIR:?}/missive
scratch=$(mktemp -d /tmp/missive-test-XXXXXX)
servers=()

clean_up() {
    local server
    for server in "${servers[@]}"; do
        kill "$server" 2>/dev/null || true
    done
    # Directories without permissions are part of the tests.
    chmod -R u+rwx "$scratch" 2>/dev/null || true
    rm -rf "$scratch"
}
trap clean_up EXIT

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# serve DIR [OPTION...]: starts a server on a free port. Sets $server (its process) and $address.
# With SERVE_AS set, that command runs it.
serve() {
    local line
    rm -f "$scratch/ready"
    mkfifo "$scratch/ready"
    ${SERVE_AS-} "$missive" serve --port 0 "$@" >"$scratch/ready" 2>"$scratch/serve.err" &
    server=$!
    servers+=("$server")
    read -r line <"$scratch/ready" || fail "the server did not start: $(cat "$scratch/serve.err")"
    [[ $line == "serving "*" on "* ]] || fail "the server said '$line'"
    # shellcheck disable=SC2034 # for the tests
    address=${line##* }
}

# stop SIGNAL: ends the server; its exit status is in $status.
stop() {
    kill "-$1" "$server"
    status=0
    wait "$server" || status=$?
}

# expect STATUS TEXT COMMAND...: runs the command, which must exit so and print TEXT somewhere. What it
# printed is in $output.
expect() {
    local wanted=$1 text=$2
    shift 2
    status=0
    output=$("$@" 2>&1) || status=$?
    [ "$status" -eq "$wanted" ] || fail "exit status $status instead of $wanted: $* said: $output"
    [[ $output == *"$text"* ]] || fail "'$text' is not in what $* said: $output"
}

# same_tree A B: contents, links, kinds, modes and times are equal.
same_tree() {
    diff -r --no-dereference "$1" "$2" || fail "$1 and $2 differ"
    (cd "$1" && find . -mindepth 1 -printf '%P %y %m %T@ %l\0' | sort -z) >"$scratch/a"
    (cd "$2" && find . -mindepth 1 -printf '%P %y %m %T@ %l\0' | sort -z) >"$scratch/b"
    cmp "$scratch/a" "$scratch/b" || fail "$1 and $2 differ in modes or times"
}

# no_partial_files DIR: no temporary file of a fetch is left.
no_partial_files() {
    local found
    found=$(find "$1" -name '.missive-*')
    [ -z "$found" ] || fail "left behind: $found"
}
