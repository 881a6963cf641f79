# kafka-python against the broker: prints "ok FEATURE", "lacks FEATURE: why" or "failed FEATURE: why" for each.
import sys
import threading
import time
import traceback

import kafka
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic
from kafka.errors import CommitFailedError

address = sys.argv[1]
failures = []


def feature(name, step):
    try:
        lacking = step()
        print('lacks %s: %s' % (name, lacking) if lacking else 'ok ' + name, flush=True)
    except Exception as error:
        failures.append(name)
        print('failed', name + ':', repr(error), flush=True)
        traceback.print_exc()


def wait_for(condition, what):
    deadline = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def produce(topic, codec, begin, end, partitions):
    try:
        producer = KafkaProducer(bootstrap_servers=address, compression_type=codec, acks='all', linger_ms=5,
                                 enable_idempotence=True)
    except RuntimeError as missing:
        return str(missing)
    sent = [producer.send(topic, key=b'k%d' % i, value=('%s %d' % (codec, i)).encode(), partition=i % partitions,
                          timestamp_ms=1700000000000 + i, headers=[('codec', str(codec).encode())])
            for i in range(begin, end)]
    for s in sent:
        s.get(timeout=30)
    producer.close()
    produced.extend(range(begin, end) if topic == 'codecs' else ())


def consumer(*topics, group=None):
    return KafkaConsumer(*topics, bootstrap_servers=address, group_id=group, auto_offset_reset='earliest',
                         enable_auto_commit=False, session_timeout_ms=6000, heartbeat_interval_ms=500)


def read(reader, count):
    got, deadline = [], time.monotonic() + 40
    while len(got) < count and time.monotonic() < deadline:
        got += [r for records in reader.poll(timeout_ms=100).values() for r in records]
    return got


class Member(threading.Thread):
    """Polls, and commits what it got, until it is told to leave."""

    def __init__(self):
        super().__init__(daemon=True)
        self.values, self.assigned, self.leaving = set(), 0, False
        self.start()

    def run(self):
        reader = consumer('grouped', group='eager')
        while not self.leaving:
            got = [r.value for records in reader.poll(timeout_ms=100).values() for r in records]
            self.assigned = len(reader.assignment())
            try:
                if got:
                    reader.commit()
            except CommitFailedError:  # a rebalance was faster: who has the partition now reads it again
                pass
            self.values.update(got)
        reader.close()


def administration():
    admin.create_topics([NewTopic('codecs', num_partitions=3, replication_factor=1,
                                  topic_configs={'segment.bytes': '1048576'}),
                         NewTopic('grouped', num_partitions=6, replication_factor=1),
                         NewTopic('doomed', num_partitions=1, replication_factor=1)])
    admin.delete_topics(['doomed'])
    assert set(admin.list_topics()) == {'codecs', 'grouped'}, admin.list_topics()
    configs = str(admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, 'codecs')]))
    assert 'segment.bytes' in configs and '1048576' in configs, configs


def consume():
    reader = consumer()
    partitions = [TopicPartition('codecs', p) for p in range(3)]
    reader.assign(partitions)
    reader.seek_to_beginning(*partitions)
    got = read(reader, len(produced))
    assert sorted(int(r.key[1:]) for r in got) == produced, len(got)
    assert sum(reader.end_offsets(partitions).values()) == len(produced)
    reader.close()


def seek_by_time():
    reader = consumer()
    partition = TopicPartition('codecs', 1)
    found = reader.offsets_for_times({partition: 1700000000400})[partition]
    reader.assign([partition])
    reader.seek(partition, found.offset)
    assert read(reader, 1)[0].key == b'k400'
    reader.close()


def group():
    members = [Member() for _ in range(3)]
    wait_for(lambda: all(m.assigned == 2 for m in members), 'all join')
    wait_for(lambda: len(set().union(*[m.values for m in members])) == 600, 'all is read')
    leaver = members.pop()
    leaver.leaving = True
    leaver.join()
    wait_for(lambda: sum(m.assigned for m in members) == 6, 'the others take over')
    for m in members:
        m.leaving = True
    for m in members:
        m.join()


def resume():
    produce('grouped', None, 600, 660, 6)
    reader = consumer('grouped', group='eager')
    got = read(reader, 60)
    assert len(got) == 60 and all(int(r.key[1:]) >= 600 for r in got), len(got)
    reader.commit()
    assert all(reader.committed(TopicPartition('grouped', p)) == 110 for p in range(6))
    reader.close()


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


admin = KafkaAdminClient(bootstrap_servers=address)
produced = []
print('version kafka-python', kafka.__version__)
feature('admin', administration)
for number, codec in enumerate([None, 'gzip', 'lz4', 'zstd', 'snappy']):
    feature('produce %s' % (codec or 'none'), lambda: produce('codecs', codec, number * 300, number * 300 + 300, 3))
feature('consume', consume)
feature('seek by time', seek_by_time)
feature('delete records', delete_records)
produce('grouped', 'lz4', 0, 600, 6)
feature('group, eager', group)
feature('commit and resume', resume)
sys.exit(1 if failures else 0)
