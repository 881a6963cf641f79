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
  TRIBUTARY_COMPAT_RESULTS=$results ctest --test-dir build/release -R 'compat_(client_programs|mixed_groups|kafka_files|kafka_streams)' --output-on-failure || true
fi

{
  cat <<'HEAD'
# Compatibility

Made by `tools/compatibility.sh` from the results of four tests: `compat_client_programs` runs each client's program
(`tests/compat/clients`) against the broker, `compat_mixed_groups` lets its members share a group with native ones,
`compat_kafka_files` lets Kafka's tools and broker read our files and ours read Kafka's (the rows of the client `kafka`),
`compat_kafka_streams` counts in windows, also across kills. kcat and Debian's librdkafka have further tests
(`compat_kcat`, `compat_librdkafka`, `compat_group_consumer`, `compat_group_kills`).

The members of the groups are processes: two share the partitions, a third joins, it dies (SIGKILL) and the others get
what it had, one leaves; every record must arrive. With static membership one dies and gets its own partitions again, long
before its session ends.

HEAD
  # Of each client: what it says "ok" to, "lacks" (with the reason) or "failed". Two tables: the features that every client
  # is asked for, and what single ones were tried with besides.
  awk '
    FNR == 1 { file = FILENAME; sub(/.*\//, "", file); sub(/\.txt$/, "", file) }
    $1 == "version" {
      if (file in column) next
      column[file] = substr($0, 9); files[++files_count] = file
      next
    }
    $1 == "skipped" { column[file] = file; files[++files_count] = file; notes[++notes_count] = file " was not run: " substr($0, 9); next }
    $1 == "ok" || $1 == "lacks" || $1 == "failed" {
      feature = substr($0, length($1) + 2); why = ""
      if ($1 != "ok") { at = index(feature, ": "); why = substr(feature, at + 2); feature = substr(feature, 1, at - 1) }
      if (!(feature in asked)) { order[++features] = feature }
      ++asked[feature]
      result[feature, file] = $1 == "ok" ? "pass" : $1 == "lacks" ? "lacks it" : "FAILS"
      if (why != "") notes[++notes_count] = column[file] ($1 == "ok" ? "" : $1 == "lacks" ? " lacks" : " FAILS at") " \"" feature "\": " why
    }
    END {
      for (i = 1; i <= files_count; ++i) if (((("produce none") SUBSEP files[i]) in result)) wide[++columns] = files[i]
      line = "| feature |"; rule = "|---|"
      for (i = 1; i <= columns; ++i) { line = line " " column[wide[i]] " |"; rule = rule "---|" }
      print line; print rule
      for (f = 1; f <= features; ++f) {
        if (asked[order[f]] < columns) continue
        line = "| " order[f] " |"
        for (i = 1; i <= columns; ++i) line = line " " result[order[f], wide[i]] " |"
        print line
      }
      print ""
      for (i = 1; i <= notes_count; ++i) print "- " notes[i]
      print "\n| client | besides | result |\n|---|---|---|"
      for (i = 1; i <= files_count; ++i)
        for (f = 1; f <= features; ++f)
          if (asked[order[f]] < columns && ((order[f] SUBSEP files[i]) in result))
            print "| " column[files[i]] " | " order[f] " | " result[order[f], files[i]] " |"
    }' "$results"/*.txt
} > docs/compatibility.md
echo "docs/compatibility.md: $(grep -o '| pass' docs/compatibility.md | wc -l) features pass"
