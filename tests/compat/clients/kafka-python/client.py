# kafka-python against the broker: prints "ok FEATURE" or "failed FEATURE: why" for each.
# "client.py ADDRESS member GROUP ASSIGNOR INSTANCE" reads the topic GROUP as a member until its input ends: prints
# "assigned PARTITIONS" when that changes, "value VALUE" for each record that is committed.
import subprocess
import sys
import threading
import time
import traceback

import kafka
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import CommitFailedError, RebalanceInProgressError

ASSIGNORS = {'range': RangePartitionAssignor, 'cooperative-sticky': CooperativeStickyAssignor}
address = sys.argv[1]
failures = []


def feature(name, step):
    try:
        step()
        print('ok', name, flush=True)
    except Exception as error:
        failures.append(name)
        print('failed', name + ':', repr(error), flush=True)
        traceback.print_exc()


def wait_for(condition, what, seconds=40):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def produce(topic, codec, begin, end, partitions):
    producer = KafkaProducer(bootstrap_servers=address, compression_type=codec, acks='all', linger_ms=5,
                             enable_idempotence=True)
    sent = [producer.send(topic, key=b'k%d' % i, value=('%s %d' % (codec, i)).encode(), partition=i % partitions,
                          timestamp_ms=1700000000000 + i, headers=[('codec', str(codec).encode())])
            for i in range(begin, end)]
    for s in sent:
        s.get(timeout=30)
    producer.close()


def consumer(*topics, group=None, **config):
    return KafkaConsumer(*topics, bootstrap_servers=address, group_id=group, auto_offset_reset='earliest',
                         enable_auto_commit=False, heartbeat_interval_ms=500, **{'session_timeout_ms': 6000, **config})


def read(reader, count):
    got, deadline = [], time.monotonic() + 40
    while len(got) < count and time.monotonic() < deadline:
        got += [r for records in reader.poll(timeout_ms=100).values() for r in records]
    return got


def be_member(group, assignor, instance):
    config = {'group_instance_id': instance, 'session_timeout_ms': 45000} if instance else {}
    reader = consumer(group, group=group, partition_assignment_strategy=[ASSIGNORS[assignor]], **config)
    leaving = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), leaving.set()), daemon=True).start()
    assigned, got = None, []
    while not leaving.is_set():
        got += [r.value.decode() for records in reader.poll(timeout_ms=100).values() for r in records]
        if assigned != (assigned := sorted(p.partition for p in reader.assignment())):
            print('assigned', ','.join(map(str, assigned)), flush=True)
        try:
            if got:
                reader.commit()
        except (CommitFailedError, RebalanceInProgressError):  # the next commit is of those as well, or others read them
            continue
        for value in got:
            print('value', value, flush=True)
        got.clear()
    reader.close()


class Member:
    """A process of its own, so that it can die."""

    def __init__(self, group, assignor, instance=''):
        self.process = subprocess.Popen([sys.executable, __file__, address, 'member', group, assignor, instance],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.values, self.partitions = set(), []
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self):
        for line in self.process.stdout:
            word, _, rest = line.rstrip('\n').partition(' ')
            if word == 'assigned':
                self.partitions = rest.split(',') if rest else []
            elif word == 'value':
                self.values.add(rest)

    def leave(self):
        self.process.stdin.close()
        self.process.wait(30)

    def die(self):
        self.process.kill()
        self.process.wait()


def wait_for_shares(members, *counts):
    wait_for(lambda: [len(m.partitions) for m in members] == list(counts), 'each has its share')


def wait_for_values(members, count):
    wait_for(lambda: len(set().union(*[m.values for m in members])) == count, 'all is read')


def group(name, assignor):
    produce(name, 'lz4', 0, 600, 6)
    members = [Member(name, assignor) for _ in range(2)]
    wait_for_shares(members, 3, 3)
    members.append(Member(name, assignor))
    wait_for_shares(members, 2, 2, 2)
    wait_for_values(members, 600)
    members[2].die()
    wait_for_shares(members[:2], 3, 3)
    produce(name, None, 600, 660, 6)
    wait_for_values(members, 660)
    members[1].leave()
    wait_for_shares(members[:1], 6)
    members[0].leave()


def static_group():
    members = [Member('static', 'range', instance) for instance in ('one', 'two')]
    wait_for_shares(members, 3, 3)
    had = members[1].partitions
    members[1].die()
    members[1] = Member('static', 'range', 'two')
    wait_for(lambda: members[1].partitions == had, 'it has its partitions again, long before its session ends', 20)
    produce('static', None, 0, 60, 6)
    wait_for_values(members, 60)
    for m in members:
        m.leave()


def administration():
    admin.create_topics([NewTopic('codecs', num_partitions=3, replication_factor=1,
                                  topic_configs={'segment.bytes': '1048576'}),
                         NewTopic('doomed', num_partitions=1, replication_factor=1)])
    admin.delete_topics(['doomed'])
    assert set(admin.list_topics()) == {'codecs'}, admin.list_topics()
    admin.create_topics([NewTopic(name, num_partitions=6, replication_factor=1)
                         for name in ('eager', 'cooperative', 'static')])
    configs = str(admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, 'codecs')]))
    assert 'segment.bytes' in configs and '1048576' in configs, configs


def consume():
    reader = consumer()
    partitions = [TopicPartition('codecs', p) for p in range(3)]
    reader.assign(partitions)
    reader.seek_to_beginning(*partitions)
    got = read(reader, 1500)
    assert sorted(int(r.key[1:]) for r in got) == list(range(1500)), len(got)
    assert sum(reader.end_offsets(partitions).values()) == 1500
    reader.close()


def seek_by_time():
    reader = consumer()
    partition = TopicPartition('codecs', 1)
    found = reader.offsets_for_times({partition: 1700000000700})[partition]
    reader.assign([partition])
    reader.seek(partition, found.offset)
    assert read(reader, 1)[0].key == b'k700'
    reader.close()


def resume():
    produce('eager', None, 660, 720, 6)
    reader = consumer('eager', group='eager')
    got = read(reader, 60)
    assert len(got) == 60 and all(int(r.key[1:]) >= 660 for r in got), len(got)
    reader.commit()
    assert all(reader.committed(TopicPartition('eager', p)) == 120 for p in range(6))
    reader.close()


def group_administration():
    assert {g['group_id'] for g in admin.list_groups()} == {'eager', 'cooperative', 'static'}, admin.list_groups()
    described = admin.describe_groups(['eager'])['eager']
    assert described['group_state'] == 'Empty' and not described['members'], described
    partition = TopicPartition('eager', 0)
    assert admin.list_group_offsets('eager')['eager'][partition].offset == 120
    admin.alter_group_offsets('eager', {partition: kafka.OffsetAndMetadata(7, '', -1)})
    assert admin.list_group_offsets('eager')['eager'][partition].offset == 7
    admin.delete_group_offsets('eager', [partition])
    assert partition not in admin.list_group_offsets('eager')['eager']
    admin.delete_groups(['eager', 'cooperative'])
    assert {g['group_id'] for g in admin.list_groups()} == {'static'}, admin.list_groups()


def delete_records():
    partitions = [TopicPartition('codecs', p) for p in range(2)]
    reader = consumer()
    reader.assign(partitions)
    ends = reader.end_offsets(partitions)
    deleted = admin.delete_records({partitions[0]: 100, partitions[1]: -1})
    starts = {partitions[0]: 100, partitions[1]: ends[partitions[1]]}
    assert {p: answer['low_watermark'] for p, answer in deleted.items()} == starts, deleted
    assert reader.beginning_offsets(partitions) == starts
    reader.seek_to_beginning(partitions[0])
    assert read(reader, 1)[0].offset == 100
    reader.close()


if sys.argv[2:3] == ['member']:
    be_member(*sys.argv[3:])
    sys.exit()
admin = KafkaAdminClient(bootstrap_servers=address)
print('version kafka-python', kafka.__version__)
feature('admin', administration)
for number, codec in enumerate([None, 'gzip', 'snappy', 'lz4', 'zstd']):
    feature('produce %s' % (codec or 'none'), lambda: produce('codecs', codec, number * 300, number * 300 + 300, 3))
feature('consume', consume)
feature('seek by time', seek_by_time)
feature('delete records', delete_records)
feature('group, eager', lambda: group('eager', 'range'))
feature('group, cooperative', lambda: group('cooperative', 'cooperative-sticky'))
feature('group, static membership', static_group)
feature('commit and resume', resume)
feature('group administration', group_administration)
sys.exit(1 if failures else 0)
