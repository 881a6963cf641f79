#!/bin/bash
# Installs what is missing, builds, and runs the tests.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'TEXT'
Usage: tools/test.sh [--preset PRESET] [--long] [PART...]

Installs what is missing, builds, and runs the tests of each PART; all of them without one.
  unit     each folder on its own
  sim      simulated disks and faults
  e2e      the programs together, with a real Mosquitto, killed and cut off
  compat   kcat and librdkafka against the broker

  --preset PRESET  release (default), debug, asan-ubsan, tsan, clang
  --filter REGEX   only the ctest entries whose names match
  --long           the long forms: ten minutes of kills, 200 of them while compacting, hundreds of simulated runs
  -h, --help       this help

Environment: TRIBUTARY_SEED=N (TRIBUTARY_SIM_SEED=N for sim) repeats a random test,
TRIBUTARY_CRASH_SECONDS=N and TRIBUTARY_SIM_RUNS=N set how long, TRIBUTARY_KEEP=1 keeps the tests' folders.

Examples:
  tools/test.sh
  tools/test.sh unit sim
  tools/test.sh --preset tsan unit
  tools/test.sh --long sim e2e
TEXT
}

preset=release
filter=()
parts=()
while [ $# -gt 0 ]; do
  case "$1" in
    --preset=*) preset="${1#*=}" ;;
    --preset | --filter)
      [ $# -ge 2 ] || { echo "tools/test.sh: $1 needs a value" >&2; exit 2; }
      if [ "$1" = --preset ]; then preset="$2"; else filter=(-R "$2"); fi
      shift ;;
    --long)
      export TRIBUTARY_COMPACTION_KILLS="${TRIBUTARY_COMPACTION_KILLS:-200}"
      export TRIBUTARY_GROUP_SECONDS="${TRIBUTARY_GROUP_SECONDS:-60}"
      export TRIBUTARY_CRASH_SECONDS="${TRIBUTARY_CRASH_SECONDS:-600}"
      export TRIBUTARY_SIM_RUNS="${TRIBUTARY_SIM_RUNS:-300}" ;;
    unit | sim | e2e | compat) parts+=("$1") ;;
    -h | --help) usage; exit 0 ;;
    *) echo "tools/test.sh: unknown argument \"$1\"; see --help" >&2; exit 2 ;;
  esac
  shift
done
case "$preset" in
  release | debug | asan-ubsan | tsan | clang) ;;
  *) echo "tools/test.sh: unknown preset \"$preset\"; see --help" >&2; exit 2 ;;
esac

# ccache wants a home.
if [ -z "${HOME:-}" ]; then
  HOME=$(getent passwd "$(id -u)" | cut -d: -f6)
  export HOME
fi

if [ "$preset" = clang ]; then tools/setup.sh --clang; else tools/setup.sh; fi
cmake --preset "$preset" >/dev/null
cmake --build --preset "$preset" -- -j"$(nproc)"

TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/tributary-tests-XXXXXX")
export TMPDIR
chmod 755 "$TMPDIR"
if [ -z "${TRIBUTARY_KEEP:-}" ]; then trap 'rm -rf "$TMPDIR"' EXIT; fi

export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_stack_use_after_return=1:strict_string_checks=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-halt_on_error=1:print_stacktrace=1}"
export TSAN_OPTIONS="${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}"

labels=()
if [ ${#parts[@]} -gt 0 ]; then labels=(-L "^($(IFS='|'; echo "${parts[*]}"))\$"); fi
ctest --test-dir "build/$preset" --output-on-failure --no-tests=error -j "$(nproc)" \
  "${labels[@]}" "${filter[@]}"
