#!/bin/sh
# kcat, as Debian ships it, against the broker: prints "ok FEATURE", "lacks FEATURE: why" or "failed FEATURE: why" for each.
address=$1
folder=$(mktemp -d)
member_1='' member_2='' member_3=''
finish() {
  for pid in $member_1 $member_2 $member_3; do kill -KILL "$pid"; done 2> /dev/null
  rm -rf "$folder"
}
trap finish EXIT
failed=0

echo "version kcat $(kcat -V | sed -n 's/^Version \([0-9.]*\) .*librdkafka \([0-9.]*\).*/\1 (librdkafka \2)/p')"

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
# group_read NAME: reads what it has not yet read of the topic "idempotent" to the file "got"
group_read() {
  kcat -b "$address" -G "$1" -e -q -X auto.offset.reset=earliest -K: idempotent | sort > "$folder/got"
}
resume() {
  group_read resuming && sort "$folder/idempotent" | cmp - "$folder/got" &&
    produce_idempotently && group_read resuming && sort "$folder/idempotent" | cmp - "$folder/got"
}

# until COMMAND...: waits for it to succeed
until_holds() {
  deadline=$(($(date +%s) + 40))
  until "$@"; do
    if [ "$(date +%s)" -ge $deadline ]; then
      echo "in vain: $*"
      return 1
    fi
    sleep 0.1
  done
}
# member NUMBER GROUP OPTION...: starts one that reads the topic GROUP; what it gets goes to the file member.NUMBER
member() {
  number=$1 group=$2
  shift 2
  kcat -b "$address" -G "$group" -u -X auto.offset.reset=earliest -X auto.commit.interval.ms=100 \
    -X heartbeat.interval.ms=500 "$@" "$group" > "$folder/member.$number" 2> "$folder/shares.$number" &
  eval "member_$number=$!"
}
# leave NUMBER SIGNAL
leave() {
  eval "pid=\$member_$1"
  kill "-$2" "$pid"
  wait "$pid" || [ "$2" = KILL ]
}
# share NUMBER: how many partitions it has
share() {
  awk '/ assigned: | incremental assignment / { sign = 1 } / revoked: | incremental revoke / { sign = -1 }
       / rebalanced/ { sum += sign * gsub(/\[[0-9]+\]/, "") } END { print sum + 0 }' "$folder/shares.$1"
}
# shares COUNTS NUMBER...: whether these members have so many, the least first
shares() {
  wanted=$1
  shift
  test "$(for number; do share "$number"; done | sort -n | tr '\n' ' ')" = "$wanted "
}
# values COUNT: whether the members got so many
values() {
  test "$(cat "$folder"/member.* | sort -u | wc -l)" = "$1"
}
# produce_numbers TOPIC FROM TO
produce_numbers() {
  seq "$2" "$3" | kcat -b "$address" -P -t "$1" -X topic.acks=all -X sticky.partitioning.linger.ms=0
}
dying_members() {
  rm -f "$folder"/member.*
  produce_numbers "$1" 1 600
  member 1 "$1" -X session.timeout.ms=6000 -X "partition.assignment.strategy=$2"
  member 2 "$1" -X session.timeout.ms=6000 -X "partition.assignment.strategy=$2"
  until_holds shares "2 2" 1 2 || return 1
  member 3 "$1" -X session.timeout.ms=6000 -X "partition.assignment.strategy=$2"
  until_holds shares "1 1 2" 1 2 3 && until_holds values 600 || return 1
  leave 3 KILL
  until_holds shares "2 2" 1 2 || return 1
  produce_numbers "$1" 601 660
  until_holds values 660 || return 1
  leave 2 TERM
  until_holds shares "4" 1 || return 1
  leave 1 TERM
}
partitions_of() {
  sed -n 's/.* assigned: //p' "$folder/shares.$1" | tail -n 1
}
static_members() {
  rm -f "$folder"/member.*
  produce_numbers static 1 60
  member 1 static -X session.timeout.ms=90000 -X group.instance.id=one
  member 2 static -X session.timeout.ms=90000 -X group.instance.id=two
  until_holds shares "2 2" 1 2 && until_holds values 60 || return 1
  had=$(partitions_of 2)
  leave 2 KILL
  member 2 static -X session.timeout.ms=90000 -X group.instance.id=two
  until_holds shares "2" 2 && test "$(partitions_of 2)" = "$had" || return 1
  leave 2 TERM
  leave 1 TERM
}

feature "list" list
for codec in none gzip snappy lz4 zstd; do feature "produce $codec" produce $codec; done
feature "produce idempotently" produce_idempotently
feature "consume" consume
feature "seek by time" seek_by_time
feature "group, eager" dying_members eager range
feature "group, cooperative" dying_members cooperative cooperative-sticky
feature "group, static membership" static_members
feature "commit and resume" resume
for without in "admin" "delete records" "group administration"; do
  echo "lacks $without: it lists topics, produces and consumes"
done
exit $failed
