# confluent-kafka (librdkafka's newest, from its wheel): prints "ok FEATURE" or "failed FEATURE: why" for each.
# "client.py ADDRESS member GROUP ASSIGNOR INSTANCE" reads the topic GROUP as a member until its input ends: prints
# "assigned PARTITIONS" when that changes, "value VALUE" for each record that is committed.
import subprocess
import sys
import threading
import time
import traceback

import confluent_kafka
from confluent_kafka import (OFFSET_BEGINNING, Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition,
                             libversion)
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

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


def until(condition, what, seconds=40):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def produce(topic, codec, begin, end, partitions):
    producer = Producer({'bootstrap.servers': address, 'compression.type': codec, 'linger.ms': 5, 'enable.idempotence': True})
    errors = []
    for i in range(begin, end):
        producer.produce(topic, key=b'k%d' % i, value=('%s %d' % (codec, i)).encode(), partition=i % partitions,
                         timestamp=1700000000000 + i, on_delivery=lambda e, m: e and errors.append(e))
    assert producer.flush(30) == 0 and not errors, errors


def consumer(group, assignor='range', **config):
    return Consumer({'bootstrap.servers': address, 'group.id': group, 'auto.offset.reset': 'earliest',
                     'enable.auto.commit': False, 'session.timeout.ms': 6000, 'heartbeat.interval.ms': 500,
                     'partition.assignment.strategy': assignor, **config})


def read(reader, count):
    got, deadline = [], time.monotonic() + 40
    while len(got) < count and time.monotonic() < deadline:
        message = reader.poll(0.2)
        if message and not message.error():
            got.append(message)
    return got


def be_member(group, assignor, instance):
    config = {'group.instance.id': instance, 'session.timeout.ms': 45000} if instance else {}
    reader = consumer(group, assignor, **config)
    reader.subscribe([group])
    leaving = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), leaving.set()), daemon=True).start()
    assigned, pending = None, []
    while not leaving.is_set():
        message = reader.poll(0.1)
        if assigned != (assigned := sorted(p.partition for p in reader.assignment())):
            print('assigned', ','.join(map(str, assigned)), flush=True)
        if message and not message.error():
            pending.append(message.value().decode())
            try:
                reader.commit(message, asynchronous=False)
            except KafkaException:  # a rebalance was faster: the next commit is of it as well, or others read it again
                continue
            for value in pending:
                print('value', value, flush=True)
            pending.clear()
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
    until(lambda: [len(m.partitions) for m in members] == list(counts), 'each has its share')


def wait_for_values(members, count):
    until(lambda: len(set().union(*[m.values for m in members])) == count, 'all is read')


def group(name, assignor):
    produce(name, 'lz4', 0, 600, 6)
    members = [Member(name, assignor) for _ in range(2)]
    wait_for_shares(members, 3, 3)
    members.append(Member(name, assignor))
    wait_for_shares(members, 2, 2, 2)
    wait_for_values(members, 600)
    members[2].die()
    wait_for_shares(members[:2], 3, 3)
    produce(name, 'none', 600, 660, 6)
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
    until(lambda: members[1].partitions == had, 'it has its partitions again, long before its session ends', 20)
    produce('static', 'none', 0, 60, 6)
    wait_for_values(members, 60)
    for m in members:
        m.leave()


def topics():
    return {t for t in admin.list_topics(timeout=10).topics if not t.startswith('__')}


def administration():
    grouped = [NewTopic(name, 6) for name in ('eager', 'cooperative', 'static')]
    for future in admin.create_topics([NewTopic('codecs', 3, config={'segment.bytes': '1048576'}), NewTopic('doomed', 1)]
                                      + grouped).values():
        future.result()
    admin.delete_topics(['doomed'])['doomed'].result()
    until(lambda: topics() == {'codecs', 'eager', 'cooperative', 'static'}, topics())
    resource = ConfigResource(ConfigResource.Type.TOPIC, 'codecs')
    assert admin.describe_configs([resource])[resource].result()['segment.bytes'].value == '1048576'


def consume():
    reader = consumer('unused: partitions are assigned')
    reader.assign([TopicPartition('codecs', p, 0) for p in range(3)])
    got = read(reader, 1500)
    assert len({m.value() for m in got}) == len(got) == 1500, len(got)
    assert all(reader.get_watermark_offsets(TopicPartition('codecs', p)) == (0, 500) for p in range(3))
    reader.close()


def seek_by_time():
    reader = consumer('unused: partitions are assigned')
    found = reader.offsets_for_times([TopicPartition('codecs', 1, 1700000000700)], timeout=10)
    reader.assign(found)
    assert read(reader, 1)[0].key() == b'k700'
    reader.close()


def resume():
    produce('eager', 'none', 660, 720, 6)
    reader = consumer('eager')
    reader.subscribe(['eager'])
    got = read(reader, 60)
    assert len(got) == 60 and all(int(m.key()[1:]) >= 660 for m in got), len(got)
    reader.commit(asynchronous=False)
    partitions = [TopicPartition('eager', p) for p in range(6)]
    assert all(p.offset == 120 for p in reader.committed(partitions, timeout=10))
    reader.close()


def group_administration():
    names = {g.group_id for g in admin.list_consumer_groups().result().valid}
    assert names == {'eager', 'cooperative', 'static'}, names
    described = admin.describe_consumer_groups(['eager'])['eager'].result()
    assert not described.members, described.members
    wanted = ConsumerGroupTopicPartitions('eager', [TopicPartition('eager', 0, 7)])
    admin.alter_consumer_group_offsets([wanted])['eager'].result()
    listed = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions('eager')])['eager'].result()
    assert {p.partition: p.offset for p in listed.topic_partitions}[0] == 7, listed
    for future in admin.delete_consumer_groups(['eager', 'cooperative']).values():
        future.result()


def delete_records():
    partition = TopicPartition('codecs', 0, 100)
    assert admin.delete_records([partition])[partition].result().low_watermark == 100
    reader = consumer('unused: partitions are assigned')
    assert reader.get_watermark_offsets(partition, timeout=10)[0] == 100
    reader.assign([TopicPartition('codecs', 0, OFFSET_BEGINNING)])
    assert read(reader, 1)[0].offset() == 100
    reader.close()


if sys.argv[2:3] == ['member']:
    be_member(*sys.argv[3:])
    sys.exit()
admin = AdminClient({'bootstrap.servers': address})
print('version confluent-kafka %s (librdkafka %s)' % (confluent_kafka.__version__, libversion()[0]))
feature('admin', administration)
for number, codec in enumerate(['none', 'gzip', 'snappy', 'lz4', 'zstd']):
    feature('produce ' + codec, lambda: produce('codecs', codec, number * 300, number * 300 + 300, 3))
feature('consume', consume)
feature('seek by time', seek_by_time)
feature('delete records', delete_records)
feature('group, eager', lambda: group('eager', 'range'))
feature('group, cooperative', lambda: group('cooperative', 'cooperative-sticky'))
feature('group, static membership', static_group)
feature('commit and resume', resume)
feature('group administration', group_administration)
sys.exit(1 if failures else 0)
