#!/bin/bash
# The programs of examples/ do what they promise, in pairs, and say so when
# nobody answers. README.md shows two of them as they are.
set -euo pipefail

# shellcheck disable=SC2016 # these backquotes are README's
shown=$(sed -n '/^```c$/,/^```$/p' "${TEST_SOURCE_DIR:?}/README.md" | grep -v '^```')
if [ "$shown" != "$(cat "$TEST_SOURCE_DIR"/examples/hello_{server,client}.c)" ]; then
    echo 'README.md does not show examples/hello_server.c and hello_client.c as they are'
    exit 1
fi
cd "${TEST_BUILD_DIR:?}/examples"

server=
stop() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ -z "$server" ] || wait "$server" 2>/dev/null || true
    server=
}
trap stop EXIT

# start PROGRAM ARGUMENT...: runs it behind us; its first line goes to $line.
start() {
    coproc SERVER { exec "$@"; }
    server=$SERVER_PID
    if ! read -r -t 30 line <&"${SERVER[0]}"; then
        echo "$1 did not start"
        exit 1
    fi
}

# expect TEXT COMMAND...: its output, errors included, is this.
expect() {
    local expected=$1 found
    shift
    found=$("$@" 2>&1) || true
    if [ "$found" != "$expected" ]; then
        printf '%s:\nexpected: %s\nfound:    %s\n' "$*" "$expected" "$found"
        exit 1
    fi
}

start ./hello_server 127.0.0.1:0
port=${line##* }
expect 'Hello, world!' ./hello_client "127.0.0.1:$port"
expect 'Hello, reader!' ./hello_client "127.0.0.1:$port" reader
expect "hello_server: another program listens at 127.0.0.1:$port" \
    ./hello_server "127.0.0.1:$port"
stop

expect "hello_client: nobody listens at 127.0.0.1:$port" ./hello_client "127.0.0.1:$port"
expect "hello_client: server must be host:port, like 127.0.0.1:4000; got 'foo'" \
    ./hello_client foo

# The port is free: the server before has just left it.
start ./socket_server "$port"
expect 'HELLO' ./socket_client "$port"
long=$(head -c 100000 /dev/zero | tr '\0' x)
expect "${long^^}" ./socket_client "$port" "$long"
stop

if ./socket_client "$port" >/dev/null 2>&1; then
    echo 'socket_client succeeds without a server'
    exit 1
fi
