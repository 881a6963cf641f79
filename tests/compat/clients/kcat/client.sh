#!/bin/sh
# kcat, as Debian ships it, against the broker: prints "ok FEATURE" or "failed FEATURE: why" for each.
address=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0

echo "version kcat $(kcat -V | sed -n 's/^Version \([0-9.]*\) .*librdkafka \([0-9.]*\).*/\1,librdkafka-\2/p')"

# feature NAME FUNCTION ARGUMENTS...
feature() {
  name=$1
  shift
  if "$@" > "$folder/log" 2>&1; then
    echo "ok $name"
  else
    failed=1
    echo "failed $name: $(tail -n 1 "$folder/log")"
  fi
}

# lines WORD: 100 of them, in the file WORD
lines() {
  seq 1 100 | sed "s/.*/k&:$1 & with some text that can be compressed compressed compressed/" > "$folder/$1"
}

list() {
  kcat -b "$address" -L -t listed | grep -q 'topic "listed" with 4 partitions'
}
produce() {
  lines "$1"
  kcat -b "$address" -P -t "$1" -p 0 -z "$1" -K: -H from=kcat -X topic.acks=all -l "$folder/$1"
}
produce_idempotently() {
  lines idempotent
  kcat -b "$address" -P -t idempotent -K: -X enable.idempotence=true -l "$folder/idempotent"
}
consume() {
  for codec in none gzip snappy lz4 zstd; do
    kcat -b "$address" -C -t $codec -p 0 -o beginning -e -q -X check.crcs=true -f '%k:%s\n' > "$folder/got"
    cmp "$folder/got" "$folder/$codec" || return 1
  done
}
seek_by_time() {
  test "$(kcat -b "$address" -Q -t none:0:1)" = "none [0] offset 0" &&
    test "$(kcat -b "$address" -C -t none -p 0 -o s@1 -c 1 -e -q -f '%k')" = k1
}
# group NAME: reads what it has not yet read of the topic "idempotent" to the file "got"
group() {
  kcat -b "$address" -G "$1" -e -q -X auto.offset.reset=earliest -X partition.assignment.strategy="$2" -K: idempotent \
    | sort > "$folder/got"
}
group_reads_all() {
  group "$1" "$2" && sort "$folder/idempotent" | cmp - "$folder/got"
}
resume() {
  produce_idempotently && group eager range && sort "$folder/idempotent" | cmp - "$folder/got"
}

feature "list" list
for codec in none gzip snappy lz4 zstd; do feature "produce $codec" produce $codec; done
feature "produce idempotently" produce_idempotently
feature "consume" consume
feature "seek by time" seek_by_time
feature "group, eager" group_reads_all eager range
feature "group, cooperative" group_reads_all cooperative cooperative-sticky
feature "commit and resume" resume
exit $failed
