# confluent-kafka (librdkafka's newest, from its wheel): prints "ok FEATURE" or "failed FEATURE: why" for each.
import sys
import threading
import time
import traceback

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition, libversion
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


def until(condition, what):
    deadline = time.monotonic() + 40
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


def consumer(group, assignor='range'):
    return Consumer({'bootstrap.servers': address, 'group.id': group, 'auto.offset.reset': 'earliest',
                     'enable.auto.commit': False, 'session.timeout.ms': 6000, 'heartbeat.interval.ms': 500,
                     'partition.assignment.strategy': assignor})


def read(reader, count):
    got, deadline = [], time.monotonic() + 40
    while len(got) < count and time.monotonic() < deadline:
        message = reader.poll(0.2)
        if message and not message.error():
            got.append(message)
    return got


class Member(threading.Thread):
    def __init__(self, group, assignor):
        super().__init__(daemon=True)
        self.group, self.assignor = group, assignor
        self.values, self.assigned, self.leaving = set(), 0, False
        self.start()

    def run(self):
        reader = consumer(self.group, self.assignor)
        reader.subscribe(['grouped'])
        while not self.leaving:
            message = reader.poll(0.1)
            self.assigned = len(reader.assignment())
            if message and not message.error():
                self.values.add(message.value())
                try:
                    reader.commit(message, asynchronous=False)
                except KafkaException:  # a rebalance was faster
                    pass
        reader.close()


def group(name, assignor):
    members = [Member(name, assignor) for _ in range(3)]
    until(lambda: all(m.assigned == 2 for m in members), 'all join')
    until(lambda: len(set().union(*[m.values for m in members])) == 600, 'all is read')
    leaver = members.pop()
    leaver.leaving = True
    leaver.join()
    until(lambda: sum(m.assigned for m in members) == 6, 'the others take over')
    for m in members:
        m.leaving = True
    for m in members:
        m.join()


admin = AdminClient({'bootstrap.servers': address})


def topics():
    return {t for t in admin.list_topics(timeout=10).topics if not t.startswith('__')}


def administration():
    for future in admin.create_topics([NewTopic('codecs', 3, config={'segment.bytes': '1048576'}), NewTopic('grouped', 6),
                                       NewTopic('doomed', 1)]).values():
        future.result()
    admin.delete_topics(['doomed'])['doomed'].result()
    until(lambda: topics() == {'codecs', 'grouped'}, topics())
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
    produce('grouped', 'none', 600, 660, 6)
    reader = consumer('eager')
    reader.subscribe(['grouped'])
    got = read(reader, 60)
    assert len(got) == 60 and all(int(m.key()[1:]) >= 600 for m in got), len(got)
    reader.commit(asynchronous=False)
    partitions = [TopicPartition('grouped', p) for p in range(6)]
    assert all(p.offset == 110 for p in reader.committed(partitions, timeout=10))
    reader.close()


def group_administration():
    names = {g.group_id for g in admin.list_consumer_groups().result().valid}
    assert names == {'eager', 'cooperative'}, names
    described = admin.describe_consumer_groups(['eager'])['eager'].result()
    assert not described.members, described.members
    wanted = ConsumerGroupTopicPartitions('eager', [TopicPartition('grouped', 0, 7)])
    admin.alter_consumer_group_offsets([wanted])['eager'].result()
    listed = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions('eager')])['eager'].result()
    assert {p.partition: p.offset for p in listed.topic_partitions}[0] == 7, listed
    for future in admin.delete_consumer_groups(['eager', 'cooperative']).values():
        future.result()


print('version librdkafka', libversion()[0])
feature('admin', administration)
for number, codec in enumerate(['none', 'gzip', 'snappy', 'lz4', 'zstd']):
    feature('produce ' + codec, lambda: produce('codecs', codec, number * 300, number * 300 + 300, 3))
feature('consume', consume)
feature('seek by time', seek_by_time)
produce('grouped', 'lz4', 0, 600, 6)
feature('group, eager', lambda: group('eager', 'range'))
feature('group, cooperative', lambda: group('cooperative', 'cooperative-sticky'))
feature('commit and resume', resume)
feature('group administration', group_administration)
sys.exit(1 if failures else 0)
