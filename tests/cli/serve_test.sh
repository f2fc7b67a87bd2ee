#!/bin/bash
# Starting and stopping a server; what keeps it from starting is said with what to do about it.
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=common.sh
. "$here/common.sh"

mkdir "$scratch/tree"
echo hello >"$scratch/tree/file"

expect 1 "there is no directory $scratch/none" "$missive" serve "$scratch/none"
expect 1 "is not a directory" "$missive" serve "$scratch/tree/file"
expect 1 "is not an address of this machine" "$missive" serve --port 0 --listen 192.0.2.1 "$scratch/tree"
expect 1 "no.such.host.invalid" "$missive" serve --port 0 --listen no.such.host.invalid "$scratch/tree"

# A free port below Homa's limit, taken once and asked for again.
for port in $(seq 20000 37 32000); do
    rm -f "$scratch/ready"
    mkfifo "$scratch/ready"
    "$missive" serve --port "$port" "$scratch/tree" >"$scratch/ready" 2>/dev/null &
    server=$!
    servers+=("$server")
    line=
    read -r line <"$scratch/ready" || true
    [ -z "$line" ] || break
done
[ "$line" = "serving $scratch/tree on 127.0.0.1:$port" ] || fail "the server said '$line'"
expect 1 "port $port is in use" "$missive" serve --port "$port" "$scratch/tree"
[[ $output == *--port* ]] || fail "what to do is not said: $output"
stop TERM
[ "$status" -eq 0 ] || fail "SIGTERM ended the server with status $status"

# SIGINT is ignored in a script's background processes, unless asked otherwise.
SERVE_AS="env --default-signal=INT" serve "$scratch/tree"
stop INT
[ "$status" -eq 0 ] || fail "SIGINT ended the server with status $status"

# Only this machine can reach a server that was not told to listen elsewhere.
serve "$scratch/tree"
[[ $address == 127.0.0.1:* ]] || fail "listens on $address by default"
expect 0 "1 file, 0 directories" "$missive" fetch "$address" "$scratch/copy"
stop TERM

serve --listen '*' "$scratch/tree"
expect 0 "" "$missive" ping --count 1 "127.0.0.1:${address##*:}"
stop TERM

if [ -e /proc/net/if_inet6 ] && grep -q '^0*1 ' /proc/net/if_inet6; then
    serve --listen ::1 "$scratch/tree"
    [[ $address == "[::1]:"* ]] || fail "listens on $address"
    expect 0 "" "$missive" ping --count 1 "$address"
    stop TERM
fi

# A privileged port, as somebody without privilege.
if [ "$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)" -gt 80 ]; then
    if [ "$(id -u)" -eq 0 ]; then
        cp -L "$missive" "$TEST_BUILD_DIR/libmissive.so.0" "$scratch"
        chmod 755 "$scratch" "$scratch"/tree "$scratch"/missive
        expect 1 "port 80 is for privileged users" setpriv --reuid 65534 --regid 65534 --clear-groups \
            env LD_LIBRARY_PATH="$scratch" "$scratch/missive" serve --port 80 "$scratch/tree"
    else
        expect 1 "port 80 is for privileged users" "$missive" serve --port 80 "$scratch/tree"
    fi
fi
