#!/bin/bash
# Devices, Mosquitto, a gateway, a broker and a consumer on this machine, shown live.
set -euo pipefail
caller_folder=$PWD
cd "$(dirname "$0")/.."

usage() {
  cat <<'TEXT'
Usage: tools/demo.sh [flags]

Installs what is missing, builds, and runs the whole pipeline in a temporary folder: simulated devices publish
to a Mosquitto, a gateway forwards to a broker, a consumer pulls. Shows the stream live until Ctrl-C, and
cleans up. Nothing outside of the temporary folder (and build/ of this checkout) is touched.

  --seconds N    stop after N seconds, print a summary, hold the log against the devices' ledger; the exit
                 code is 1 if one reading is missing, doubled or out of order
  --devices N    how many devices (default: 50)
  --rate R       readings per second and device (default: 10)
  --replay FILE  devices replay a recording (CSV with a header, or NDJSON) instead of simulated values
  --keep         keep the temporary folder
  -h, --help     this help

Examples:
  tools/demo.sh
  tools/demo.sh --seconds 30
  tools/demo.sh --replay quakes.ndjson --devices 10 --rate 100
TEXT
}

fail_usage() { echo "tools/demo.sh: $1; see --help" >&2; exit 2; }

seconds="" devices=50 rate=10 replay="" keep=""
while [ $# -gt 0 ]; do
  case "$1" in
    --seconds | --devices | --rate | --replay)
      [ $# -ge 2 ] || fail_usage "$1 needs a value"
      declare "${1#--}=$2"
      shift ;;
    --seconds=* | --devices=* | --rate=* | --replay=*) flag="${1%%=*}"; declare "${flag#--}=${1#*=}" ;;
    --keep) keep=1 ;;
    -h | --help) usage; exit 0 ;;
    *) fail_usage "unknown argument \"$1\"" ;;
  esac
  shift
done
[[ "$seconds" =~ ^([1-9][0-9]*)?$ ]] || fail_usage "--seconds: \"$seconds\" is no whole number above 0"
[[ "$devices" =~ ^[1-9][0-9]*$ ]] || fail_usage "--devices: \"$devices\" is no whole number above 0"
[[ "$rate" =~ ^[0-9]+(\.[0-9]+)?$ ]] || fail_usage "--rate: \"$rate\" is no number"
if [ -n "$replay" ]; then
  replay=$(cd "$caller_folder" && realpath -e -- "$replay" 2>/dev/null) || fail_usage "--replay: there is no such file"
fi

if [ -z "${HOME:-}" ]; then
  HOME=$(getent passwd "$(id -u)" | cut -d: -f6)  # ccache wants one
  export HOME
fi
tools/setup.sh
programs=(tributary-broker tributary-gateway tributary-fleet tributary)
# One demo at a time builds and takes ports.
mkdir -p build
exec 9>build/.demo.lock
flock 9
cmake --preset release >/dev/null
cmake --build --preset release --target "${programs[@]}" -- -j"$(nproc)"
bin=$PWD/build/release/bin

folder=$(mktemp -d "${TMPDIR:-/tmp}/tributary-demo-XXXXXX")
# The intake belongs on tmpfs; the other programs' files do not.
intake=$(mktemp -d /dev/shm/tributary-demo-XXXXXX 2>/dev/null || mktemp -d /run/tributary-demo-XXXXXX)
pids=()
stop_all() {
  trap '' INT TERM
  # In the order of the stream, so that each can hand on what it has.
  local pid
  for pid in "${pids[@]}"; do
    kill -TERM "$pid" 2>/dev/null || true
    for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    kill -KILL "$pid" 2>/dev/null || true
  done
  rm -rf "$intake"
  if [ -n "$keep" ]; then echo "kept: $folder"; else rm -rf "$folder"; fi
}
trap stop_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A session of its own: Ctrl-C ends the view first, then all is stopped in order. What outlives this script is
# ended by the kernel.
spawn() {  # spawn NAME COMMAND...
  local name=$1
  shift
  setsid setpriv --pdeathsig KILL -- "$@" >"$folder/$name.log" 2>&1 </dev/null 9>&- &
}

port_is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# The usual port, or another that nobody listens on, below those that the kernel gives to connections.
choose_port() {
  local port=$1
  until port_is_free "$port"; do port=$((10000 + RANDOM % 20000)); done
  echo "$port"
}

is_up() {  # is_up PID PORT: waits until it listens; fails if it has ended
  local _
  for _ in $(seq 300); do
    kill -0 "$1" 2>/dev/null || return 1
    if ! port_is_free "$2"; then
      sleep 0.2  # if the port is somebody else's, ours has ended by now
      kill -0 "$1" 2>/dev/null
      return
    fi
    sleep 0.1
  done
  return 1
}

# start NAME: calls NAME, which chooses ports, spawns and sets `listens`; again if a port was taken meanwhile.
start() {
  local _
  for _ in 1 2 3 4 5; do
    "$1"
    if is_up "$!" "$listens"; then
      pids=("$!" "${pids[@]}")
      return
    fi
    kill -KILL "$!" 2>/dev/null || true
  done
  echo "tools/demo.sh: the $1 does not start:" >&2
  tail -n 20 "$folder/$1.log" >&2
  exit 1
}

mosquitto() {
  listens=$(choose_port 1883)
  mqtt=127.0.0.1:$listens
  sed "s/^listener .*/listener $listens 127.0.0.1/" configs/demo/mosquitto.conf >"$folder/mosquitto.conf"
  echo "user root" >>"$folder/mosquitto.conf"  # a change of user would undo --pdeathsig
  local program
  program=$(PATH=$PATH:/usr/sbin type -P mosquitto)
  spawn mosquitto "$program" -c "$folder/mosquitto.conf"
}

broker() {
  kafka=127.0.0.1:$(choose_port 9092) nng=127.0.0.1:$(choose_port 9093) listens=$(choose_port 9094)
  broker_http=127.0.0.1:$listens
  spawn broker "$bin/tributary-broker" --data "$folder/broker" --kafka "$kafka" --nng "tcp://$nng" --http "$broker_http"
}

gateway() {
  listens=$(choose_port 9095)
  gateway_http=127.0.0.1:$listens
  spawn gateway "$bin/tributary-gateway" --mqtt "tcp://$mqtt" --cluster "tcp://$nng" --data "$folder/gateway" \
    --intake "$intake" --route 'sensors/+/+ -> readings' --http "$gateway_http"
}

get() {  # get ADDRESS PATH: the body of an HTTP answer
  exec 3<>"/dev/tcp/${1%:*}/${1#*:}"
  printf 'GET %s HTTP/1.1\r\nHost: %s\r\n\r\n' "$2" "$1" >&3
  cat <&3
  exec 3<&- 3>&-
}

start mosquitto
start broker
start gateway
exec 9>&-
# Mosquitto keeps readings for the gateway from its subscription on, and drops those that nobody has subscribed to.
subscribed=""
for _ in $(seq 300); do
  if get "$gateway_http" /metrics 2>/dev/null | grep -q '^tributary_gateway_mqtt_connected 1'; then
    subscribed=1
    break
  fi
  sleep 0.1
done
[ -n "$subscribed" ] || { echo "tools/demo.sh: the gateway does not reach Mosquitto:" >&2; tail -n 20 "$folder/gateway.log" >&2; exit 1; }

ledger=$folder/ledger.db
fleet_flags=(--mqtt "tcp://$mqtt" --devices "$devices" --rate "$rate" --qos 1 --ledger "$ledger")
[ -z "$seconds" ] || fleet_flags+=(--seconds "$seconds")
[ -z "$replay" ] || fleet_flags+=(--replay "$replay")
spawn fleet "$bin/tributary-fleet" "${fleet_flags[@]}"
fleet=$!
pids=("$fleet" "${pids[@]}")

echo "mqtt $mqtt   gateway http://$gateway_http/metrics"
echo "broker: kafka $kafka, nng tcp://$nng, http://$broker_http/metrics"
echo "try: kcat -b $kafka -t readings -C -o end"
echo

watch_flags=(--cluster "tcp://$nng" watch --topic readings --from earliest --gateway "$gateway_http")
if [ -z "$seconds" ]; then
  trap 'exit 0' INT  # that is how this one ends
  watched=0
  "$bin/tributary" "${watch_flags[@]}" --pid "$fleet" || watched=$?
  kill -0 "$fleet" 2>/dev/null && exit "$watched"
  echo "tools/demo.sh: the fleet has ended:" >&2
  tail -n 20 "$folder/fleet.log" >&2
  exit 1
fi

settled=0
"$bin/tributary" "${watch_flags[@]}" --pid "$fleet" || settled=$?
wait "$fleet" || { echo "tools/demo.sh: the fleet failed:" >&2; tail -n 20 "$folder/fleet.log" >&2; exit 1; }
echo
cat "$folder/fleet.log"
echo
"$bin/tributary" --cluster "tcp://$nng" verify --ledger "$ledger" --topic readings
exit "$settled"
