# Produces with every codec, idempotently, and consumes again, with kafka-python; ends with 0 if all came back.
import sys
import threading
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic
from kafka.errors import CommitFailedError

address = sys.argv[1]
admin = KafkaAdminClient(bootstrap_servers=address)
admin.create_topics([NewTopic('python', num_partitions=2, replication_factor=1,
                              topic_configs={'segment.bytes': '1048576'})])
assert 'python' in admin.list_topics(), admin.list_topics()
configs = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, 'python')])
assert 'segment.bytes' in str(configs) and '1048576' in str(configs), configs

expected = {0: [], 1: []}
for codec in (None, 'gzip', 'snappy', 'lz4', 'zstd'):
    try:
        producer = KafkaProducer(bootstrap_servers=address, compression_type=codec, acks='all', linger_ms=5,
                                 enable_idempotence=True)
    except RuntimeError as missing:  # the Python package of a codec
        print('without', codec, ':', missing)
        continue
    sent = []
    for i in range(1000):
        p, value = i % 2, ('%s %d' % (codec, i)).encode()
        sent.append(producer.send('python', key=b'k%d' % i, value=value, partition=p,
                                  headers=[('codec', str(codec).encode())]))
        expected[p].append(value)
    for s in sent:
        s.get(timeout=30)
    producer.close()

consumer = KafkaConsumer(bootstrap_servers=address, consumer_timeout_ms=20000, enable_auto_commit=False,
                         group_id=None)
partitions = [TopicPartition('python', p) for p in (0, 1)]
consumer.assign(partitions)
consumer.seek_to_beginning(*partitions)
assert consumer.end_offsets(partitions) == {p: len(expected[p.partition]) for p in partitions}
got = {0: [], 1: []}
while sum(map(len, got.values())) < sum(map(len, expected.values())):
    record = next(consumer)
    assert record.offset == len(got[record.partition]), record
    got[record.partition].append(record.value)
assert got == expected
consumer.close()

# A group of three: each partition has one owner; who goes hands over; what was committed is not read again.
admin.create_topics([NewTopic('grouped', num_partitions=6, replication_factor=1)])
producer = KafkaProducer(bootstrap_servers=address, acks='all')
for i in range(600):
    producer.send('grouped', value=b'%d' % i, partition=i % 6)
producer.flush()


def wait_for(condition, what):
    deadline = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < deadline, (what, [(m.assigned, len(m.values)) for m in members])
        time.sleep(0.02)


def consumer_in_group():
    return KafkaConsumer('grouped', bootstrap_servers=address, group_id='three', auto_offset_reset='earliest',
                         enable_auto_commit=False, session_timeout_ms=6000, heartbeat_interval_ms=500)


class Member(threading.Thread):
    """Polls, and commits what it got, until it is told to leave."""

    def __init__(self):
        super().__init__(daemon=True)
        self.values, self.assigned, self.leaving = [], set(), False
        self.start()

    def run(self):
        consumer = consumer_in_group()
        while not self.leaving:
            got = [int(r.value) for records in consumer.poll(timeout_ms=100).values() for r in records]
            self.assigned = consumer.assignment()
            try:
                if got:
                    consumer.commit()
            except CommitFailedError:  # a rebalance was faster: who has the partition now reads it again
                pass
            self.values += got
        consumer.close()


members = [Member() for _ in range(3)]
wait_for(lambda: all(len(m.assigned) == 2 for m in members), 'all have joined')
wait_for(lambda: {v for m in members for v in m.values} == set(range(600)), 'all is read')
leaver = members.pop()
leaver.leaving = True
leaver.join()
wait_for(lambda: sum(len(m.assigned) for m in members) == 6, 'the others take over')
for m in members:
    m.leaving = True
for m in members:
    m.join()
for i in range(600, 660):
    producer.send('grouped', value=b'%d' % i, partition=i % 6)
producer.flush()
alone = consumer_in_group()
alone_values = []
deadline = time.monotonic() + 40
while len(alone_values) < 60 and time.monotonic() < deadline:
    alone_values += [int(r.value) for records in alone.poll(timeout_ms=100).values() for r in records]
assert sorted(alone_values) == list(range(600, 660)), alone_values
partition = TopicPartition('grouped', 0)
assert alone.committed(partition) == 100, alone.committed(partition)
alone.seek(partition, 5)
assert next(alone).offset == 5
alone.close()
print('groups', 'three' in str(admin.list_groups() if hasattr(admin, 'list_groups') else admin.list_consumer_groups()))
admin.delete_topics(['python', 'grouped'])
print('exchanged', sum(map(len, expected.values())))
