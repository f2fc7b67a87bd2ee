#!/usr/bin/env bash
# Two hosts joined by a cable: `missive serve` in one network namespace, `missive fetch` in another, over
# veth at MTU 1500 and 9000, IPv4 and IPv6. Proves that messages are cut to the path (no IP fragments are
# made), that a closed port is reported by ICMP at once, and that a network that goes away for 50 ms
# costs nothing but time. Needs root, to make the namespaces; it skips (77) without.
set -euo pipefail

[[ $(id -u) -eq 0 ]] || { echo "skipped: needs root to make network namespaces"; exit 77; }
command -v ip >/dev/null || { echo "skipped: needs ip (Debian: iproute2)"; exit 77; }

missive=${TEST_BUILD_DIR:?}/missive
scratch=$(mktemp -d)
client=mc$$ router=mr$$ server=ms$$
serving=

cleanup() {
    [[ -z $serving ]] || kill "$serving" 2>/dev/null || true
    for namespace in "$client" "$router" "$server"; do
        ip netns del "$namespace" 2>/dev/null || true
    done
    rm -rf "$scratch"
}
trap cleanup EXIT

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

in_client() { ip netns exec "$client" "$@"; }
in_router() { ip netns exec "$router" "$@"; }

ip netns add "$client" || { echo "skipped: this machine allows no network namespaces"; exit 77; }
ip netns add "$router"
ip netns add "$server"

# A router resolves neighbours from its link-local address, which must not wait to be found unique.
for namespace in "$client" "$router" "$server"; do
    ip netns exec "$namespace" sh -c 'echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad'
done

# link NAMESPACE NET: a cable from NAMESPACE to the router, both ends addressed.
link() {
    local namespace=$1 net=$2
    ip link add "v$net" netns "$namespace" type veth peer name "r$net" netns "$router"
    ip -n "$namespace" link set lo up
    ip -n "$namespace" link set "v$net" up
    ip -n "$router" link set "r$net" up
    ip -n "$namespace" addr add "10.77.$net.2/24" dev "v$net"
    ip -n "$namespace" addr add "fd77:$net::2/64" dev "v$net" nodad
    ip -n "$router" addr add "10.77.$net.1/24" dev "r$net"
    ip -n "$router" addr add "fd77:$net::1/64" dev "r$net" nodad
    ip -n "$namespace" route add default via "10.77.$net.1"
    ip -n "$namespace" -6 route add default via "fd77:$net::1"
}
forwarding() {
    in_router sh -c "echo $1 > /proc/sys/net/ipv4/ip_forward"
}
link "$client" 1
link "$server" 2
forwarding 1
in_router sh -c 'echo 1 > /proc/sys/net/ipv6/conf/all/forwarding'

set_mtu() {
    ip -n "$client" link set v1 mtu "$1"
    ip -n "$router" link set r1 mtu "$1"
    ip -n "$router" link set r2 mtu "$1"
    ip -n "$server" link set v2 mtu "$1"
}

fragments() {
    ip netns exec "$1" cat /proc/net/snmp /proc/net/snmp6 | awk '
        $1 == "Ip:" && !header { for (i = 2; i <= NF; i++) column[$i] = i; header = 1; next }
        $1 == "Ip:" { sum += $column["FragCreates"] }
        $1 == "Ip6FragCreates" { sum += $2 }
        END { print sum + 0 }'
}

# The tree that travels: empty, small and large files, nested.
mkdir -p "$scratch/tree/a/b/c"
: > "$scratch/tree/empty"
head -c 3500000 /dev/urandom > "$scratch/tree/a/large"
for ((i = 0; i < 200; i++)); do
    head -c $((i * 97)) /dev/urandom > "$scratch/tree/a/b/small-$i"
done
ln -s ../large "$scratch/tree/a/b/c/link"

serve() {
    : > "$scratch/served"
    # Not by a function: $! must be the server itself.
    ip netns exec "$server" "$missive" serve "$scratch/tree" --listen "$1" --port 4146 \
        > "$scratch/served" 2> "$scratch/serve-errors" &
    serving=$!
    for ((i = 0; i < 200; i++)); do
        grep -q '^serving ' "$scratch/served" && return
        sleep 0.05
    done
    cat "$scratch/serve-errors" >&2
    fail "the server did not start on $1"
}
stop_serving() {
    kill "$serving"
    wait "$serving" || fail "the server did not stop cleanly"
    serving=
}
fetch_and_compare() {
    rm -rf "$scratch/copy"
    in_client "$missive" fetch --quiet "$1" "$scratch/copy" || fail "fetch from $1 ($2)"
    diff -r --no-dereference "$scratch/tree" "$scratch/copy" || fail "wrong bytes from $1 ($2)"
}

for mtu in 1500 9000; do
    set_mtu "$mtu"
    for address in 10.77.2.2 fd77:2::2; do
        host=$address
        [[ $address == *:* ]] && host="[$address]"
        serve "$address"
        fetch_and_compare "$host:4146" "MTU $mtu"
        stop_serving
        echo "ok: tree over $address at MTU $mtu"
    done
done
for namespace in "$client" "$server"; do
    [[ $(fragments "$namespace") -eq 0 ]] || fail "IP fragments were made"
done
echo "ok: no IP fragments"

# The path is narrower in the middle than either end knows: only ICMP can tell.
set_mtu 9000
ip -n "$router" link set r2 mtu 1400
ip -n "$server" link set v2 mtu 1400
serve 10.77.2.2
fetch_and_compare 10.77.2.2:4146 "a narrower link behind the router"
stop_serving
echo "ok: path MTU found by ICMP"
set_mtu 1500

# "Nobody listens" is ENOTCONN, which only ICMP can bring: silence ends in another sentence.
if in_client "$missive" ping --count 1 10.77.2.2:4999 > "$scratch/ping" 2>&1; then
    fail "ping to a closed port succeeded"
fi
grep -qi 'nobody listens' "$scratch/ping" || { cat "$scratch/ping" >&2; fail "no word of the closed port"; }
echo "ok: closed port reported by ICMP"

# The network goes away for 50 ms again and again, in the middle of fetches.
serve 10.77.2.2
(
    for ((i = 0; i < 20; i++)); do
        forwarding 0
        sleep 0.05
        forwarding 1
        sleep 0.02
    done
) &
outages=$!
while kill -0 "$outages" 2>/dev/null; do
    fetch_and_compare 10.77.2.2:4146 "outages of 50 ms"
done
wait "$outages"
stop_serving
# shellcheck disable=SC2016  # the dollar signs are awk's
dropped=$(in_router awk '$1 == "Ip:" && !header { for (i = 2; i <= NF; i++) column[$i] = i; header = 1; next }
    $1 == "Ip:" { print $column["InAddrErrors"] }' /proc/net/snmp)
((dropped > 0)) || fail "the outages dropped nothing: this proves nothing"
echo "ok: outages of 50 ms cost no RPC ($dropped packets lost)"
