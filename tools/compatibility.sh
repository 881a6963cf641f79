#!/bin/bash
# Runs the clients that others wrote against the broker and writes what they could do to docs/compatibility.md.
#
#   tools/compatibility.sh            run the built tests, write the table
#   tools/compatibility.sh FOLDER     write the table from results that are there
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ "${1:-}" == -h || "${1:-}" == --help ]]; then
  sed -n '2,5s/^# \{0,1\}//p' "$0"
  exit 0
fi
results=${1:-}
if [[ -z $results ]]; then
  results=$(mktemp -d)
  trap 'rm -rf "$results"' EXIT
  TRIBUTARY_COMPAT_RESULTS=$results ctest --test-dir build/release -R 'compat_(client_programs|kafka_files|kafka_streams)' --output-on-failure || true
fi

{
  cat <<'HEAD'
# Compatibility

Made by `tools/compatibility.sh` from the results of three tests: `compat_client_programs` runs each client's program
(`tests/compat/clients`) against the broker, `compat_kafka_files` lets Kafka's tools and Kafka's broker read our files and
ours read Kafka's (the rows of the client `kafka`), `compat_kafka_streams` counts in windows, also across kills. kcat and
Debian's librdkafka have further tests (`compat_kcat`, `compat_librdkafka`, `compat_group_kills`).

The members of the groups are processes: two share the partitions, a third joins, it dies (SIGKILL) and the others get
what it had, one leaves; every record must arrive. With static membership one dies and gets its own partitions again, long
before its session ends.

| client | version | feature | result |
|---|---|---|---|
HEAD
  for file in "$results"/*.txt; do
    name=$(basename "$file" .txt)
    awk -v name="$name" '
      $1 == "version" { client = $2; version = $3; next }
      $1 == "skipped" { reason = substr($0, 9); printf "| %s | - | all | not run: %s |\n", name, reason; next }
      $1 == "ok" || $1 == "lacks" || $1 == "failed" {
        feature = substr($0, length($1) + 2); result = "pass"
        if ($1 != "ok") {
          at = index(feature, ": "); result = ($1 == "lacks" ? "the client lacks it: " : "FAILS: ") substr(feature, at + 2)
          feature = substr(feature, 1, at - 1)
        }
        printf "| %s | %s | %s | %s |\n", client, version, feature, result
      }' "$file"
  done
} > docs/compatibility.md
echo "docs/compatibility.md: $(grep -c '| pass |' docs/compatibility.md) features pass"
