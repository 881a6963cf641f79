// kafkajs against the broker: prints "ok FEATURE" or "failed FEATURE: why" for each.
const {Kafka, CompressionTypes, CompressionCodecs, logLevel} = require('kafkajs');
CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy');
CompressionCodecs[CompressionTypes.LZ4] = new (require('kafkajs-lz4'))().codec;

const kafka = new Kafka({brokers: [process.argv[2]], clientId: 'kafkajs', logLevel: logLevel.NOTHING});
let failed = false;

async function feature(name, step) {
  try {
    await step();
    console.log('ok ' + name);
  } catch (error) {
    failed = true;
    console.log('failed ' + name + ': ' + error);
    console.log(error.stack);
  }
}
function check(holds, what) {
  if (!holds) throw new Error(typeof what === 'string' ? what : JSON.stringify(what));
}
async function until(condition, what) {
  const deadline = Date.now() + 40000;
  while (!(await condition())) {
    check(Date.now() < deadline, what);
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}
function messages(name, from, to) {
  return Array.from({length: to - from}, (_, i) => ({
    key: 'k' + (from + i), value: name + ' ' + (from + i), timestamp: String(1700000000000 + from + i),
    partition: undefined, headers: {codec: name}}));
}
async function produce(topic, codec, from, to, partitions) {
  const producer = kafka.producer({idempotent: codec === 'none', maxInFlightRequests: 1});
  await producer.connect();
  const all = messages(codec, from, to).map((m, i) => ({...m, partition: (from + i) % partitions}));
  const types = {none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy, lz4: CompressionTypes.LZ4};
  await producer.send({topic, compression: types[codec], messages: all});
  await producer.disconnect();
}
/** Reads as a member of a group; `stop` leaves it. */
async function member(groupId, topic, fromBeginning = true) {
  const consumer = kafka.consumer({groupId, sessionTimeout: 6000, heartbeatInterval: 500, rebalanceTimeout: 6000});
  const self = {values: new Set(), got: [], assigned: 0, consumer};
  consumer.on(consumer.events.GROUP_JOIN, e => { self.assigned = Object.values(e.payload.memberAssignment).flat().length; });
  await consumer.connect();
  await consumer.subscribe({topic, fromBeginning});
  await consumer.run({autoCommitInterval: 200, eachMessage: async ({partition, message}) => {
    self.values.add(message.value.toString());
    self.got.push({partition, key: message.key.toString(), offset: message.offset, codec: String(message.headers.codec)});
  }});
  self.stop = () => consumer.disconnect();
  return self;
}

(async () => {
  console.log('version kafkajs ' + require('kafkajs/package.json').version);
  const admin = kafka.admin();
  await admin.connect();
  await feature('admin', async () => {
    await admin.createTopics({waitForLeaders: true, topics: [
      {topic: 'codecs', numPartitions: 3, configEntries: [{name: 'segment.bytes', value: '1048576'}]},
      {topic: 'grouped', numPartitions: 6}, {topic: 'doomed', numPartitions: 1}]});
    await admin.deleteTopics({topics: ['doomed']});
    check((await admin.listTopics()).sort().join() === 'codecs,grouped', await admin.listTopics());
    check((await admin.fetchTopicMetadata({topics: ['grouped']})).topics[0].partitions.length === 6, 'partitions');
    const configs = await admin.describeConfigs({includeSynonyms: false, resources: [{type: 2, name: 'codecs', configNames: ['segment.bytes']}]});
    check(configs.resources[0].configEntries[0].configValue === '1048576', configs);
    check((await admin.describeCluster()).brokers.length === 1, 'brokers');
  });
  let from = 0;
  for (const codec of ['none', 'gzip', 'snappy', 'lz4']) {
    const begin = from;
    await feature('produce ' + codec, () => produce('codecs', codec, begin, begin + 300, 3));
    from += 300;
  }
  await feature('consume', async () => {
    const reader = await member('reader', 'codecs');
    await until(() => reader.values.size === 1200, 'all is read');
    check(reader.got.length === 1200 && new Set(reader.got.map(g => g.codec)).size === 4, 'each once');
    await reader.stop();
  });
  await feature('seek by time', async () => {
    const offsets = await admin.fetchTopicOffsetsByTimestamp('codecs', 1700000000700);
    const at = offsets.find(o => o.partition === 1).offset;
    const reader = await member('seeker', 'codecs', false);
    await until(() => reader.assigned === 3, 'joins');
    reader.consumer.seek({topic: 'codecs', partition: 1, offset: at});
    await until(() => reader.got.some(g => g.partition === 1), 'reads');
    check(reader.got.find(g => g.partition === 1).key === 'k700', reader.got[0]);
    await reader.stop();
  });
  await produce('grouped', 'lz4', 0, 600, 6);
  await feature('group', async () => {
    const members = await Promise.all([1, 2, 3].map(() => member('three', 'grouped')));
    await until(() => members.every(m => m.assigned === 2), 'all join');
    await until(() => new Set(members.flatMap(m => [...m.values])).size === 600, 'all is read');
    await members.pop().stop();
    await until(() => members.every(m => m.assigned === 3), 'the others take over');
    for (const one of members) await one.stop();
  });
  await feature('commit and resume', async () => {
    await produce('grouped', 'none', 600, 660, 6);
    const reader = await member('three', 'grouped');
    await until(() => reader.got.length >= 60, 'resumes');
    check(reader.got.every(g => Number(g.key.slice(1)) >= 600) && reader.got.length === 60, reader.got.length);
    await reader.stop();
    const committed = await admin.fetchOffsets({groupId: 'three', topics: ['grouped']});
    check(committed[0].partitions.every(p => p.offset === '110'), committed);
  });
  await feature('group administration', async () => {
    check((await admin.listGroups()).groups.length === 3, 'list');
    check((await admin.describeGroups(['three'])).groups[0].state === 'Empty', 'describe');
    await admin.setOffsets({groupId: 'three', topic: 'grouped', partitions: [{partition: 0, offset: '7'}]});
    const offsets = await admin.fetchOffsets({groupId: 'three', topics: ['grouped']});
    check(offsets[0].partitions.find(p => p.partition === 0).offset === '7', offsets);
    await admin.deleteGroups(['three', 'reader', 'seeker']);
    check((await admin.listGroups()).groups.length === 0, 'gone');
  });
  await admin.disconnect();
  process.exit(failed ? 1 : 0);
})();
