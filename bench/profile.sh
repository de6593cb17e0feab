#!/bin/bash
# Where the cycles of a frame go: `bench/profile.sh [socket|mmsg|plain|tunnel]` prints, for both daemons under one TCP stream and
# under a flood of 64-byte frames, the share of each part of the program and the hottest functions.
# Needs root, perf (Debian: linux-perf), iperf3, ethtool; makes its own namespaces; some 15 s.
set -eu
cd "$(dirname "$0")/.."
if [ -z "${VTEPD_PROFILE_CONFINED:-}" ]; then
  exec env VTEPD_PROFILE_CONFINED=1 unshare --mount --net --pid --fork --kill-child --mount-proc "$0" "$@"
fi
tier=${1:-socket}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir -p /run/netns && mount -t tmpfs none /run/netns && ip link set lo up
ip netns add left && ip netns add right
ip link add eth0 netns left type veth peer name eth0 netns right

start() { # HOST NUMBER OTHER
  ip -n "$1" addr add "192.0.2.$2/24" dev eth0
  ip -n "$1" link set lo up && ip -n "$1" link set eth0 up
  ip netns exec "$1" ethtool -K eth0 tx off tso off gso off gro on >/dev/null
  cat > "$folder/$1.yaml" <<EOF
version: 1
daemon: { workers: 1, offload: $tier, log: { level: error }, control: { socket: $folder/$1.sock } }
tunnels: { ov0: { mode: vxlan, id: 42, local: 192.0.2.$2, remote: 192.0.2.$3, addresses: [198.51.100.$2/24] } }
EOF
  ip netns exec "$1" node --perf-basic-prof dist/vtepd.js --config "$folder/$1.yaml" &
}
start left 1 2 && left=$!
start right 2 1 && right=$!
sleep 1.5

profile() { # NAME PID
  perf record -F 2500 -g -p "$2" -o "$folder/$1" -- sleep 1.5 >/dev/null 2>&1
  echo "== tier $tier, $1"
  for sort in dso symbol; do
    perf report -i "$folder/$1" --no-children --sort $sort -g none 2>/dev/null | grep -v '^#' | grep -v '^$' | head -n 12
  done
}
ip netns exec right iperf3 --server >/dev/null &
sleep 0.5
ip netns exec left iperf3 --client 198.51.100.2 --time 6 | grep receiver &
stream=$!
sleep 1.5
profile "TCP, sender" $left
profile "TCP, receiver" $right
wait $stream
ip netns exec right bench/build/load udp-sink --port 9999 >/dev/null &
ip netns exec left bench/build/load udp-send --to 198.51.100.2 --port 9999 --size 64 --rate 0 --seconds 8 >/dev/null &
sleep 1.5
profile "64-byte frames, sender" $left
profile "64-byte frames, receiver" $right
