# Produces with every codec, idempotently, and consumes again, with kafka-python; ends with 0 if all came back.
import sys

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic

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
admin.delete_topics(['python'])
print('exchanged', sum(map(len, expected.values())))
