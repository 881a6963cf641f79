#!/bin/bash
# Installs the Debian packages that building and testing need. Silent when nothing is missing.
set -euo pipefail

packages=(
  # build
  g++ cmake ninja-build pkg-config ccache mold
  # MQTT, nng, SQLite, Kafka TCP
  mosquitto mosquitto-clients
  libnng-dev libsqlite3-dev sqlite3 libasio-dev
  # command line, configuration, JSON, errors
  libcli11-dev libtomlplusplus-dev libsimdjson-dev nlohmann-json3-dev libexpected-dev
  # compression and checksums
  libzstd-dev liblz4-dev libsnappy-dev zlib1g-dev libisal-dev libxxhash-dev
  # logs, metrics, HTTP
  libspdlog-dev prometheus-cpp-dev libcpp-httplib-dev
  # tests
  libgtest-dev libgmock-dev libbenchmark-dev kcat librdkafka-dev
)

case "${1:-}" in
  "") ;;
  --clang) packages+=(clang-16) ;;
  --list) printf '%s\n' "${packages[@]}"; exit 0 ;;
  -h | --help)
    echo "Usage: tools/setup.sh [--clang | --list]"
    echo "Installs the Debian 12 packages that Tributary is built with (as root, or with sudo)."
    echo "  --clang the compiler of the preset clang, too"
    echo "  --list  print their names, and end"
    exit 0 ;;
  *) echo "tools/setup.sh: unknown argument \"$1\"; see --help" >&2; exit 2 ;;
esac

command -v dpkg-query >/dev/null || {
  echo "tools/setup.sh: this is no Debian; install the equivalents of: ${packages[*]}" >&2
  exit 1
}

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || {
    echo "tools/setup.sh: neither root nor sudo; as root, run: apt-get install ${missing[*]}" >&2
    exit 1
  }
  as_root=(sudo)
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" \
    </dev/null >"$log" 2>&1 || {
    echo "tools/setup.sh: apt-get $* failed:" >&2
    tail -n 30 "$log" >&2
    exit 1
  }
}

echo "Installing ${#missing[@]} Debian packages: ${missing[*]}"
apt update
apt install --no-install-recommends "${missing[@]}"
