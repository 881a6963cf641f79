// kafkajs against the broker: prints "ok FEATURE", "lacks FEATURE: why" or "failed FEATURE: why" for each.
// "client.js ADDRESS member GROUP" reads the topic GROUP as a member until its input ends: prints
// "assigned PARTITIONS" when that changes, "value VALUE" for each record that is done with.
const {spawn} = require('child_process');
const zstd = require('@bokuweb/zstd-wasm');
const {Kafka, CompressionTypes, CompressionCodecs, logLevel} = require('kafkajs');
CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy');
CompressionCodecs[CompressionTypes.LZ4] = new (require('kafkajs-lz4'))().codec;
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async encoder => Buffer.from(zstd.compress(encoder.buffer, 3)),
  decompress: async buffer => Buffer.from(zstd.decompress(buffer)),
});

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
function lacks(name, why) {
  console.log('lacks ' + name + ': ' + why);
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
  const types = {none: CompressionTypes.None, gzip: CompressionTypes.GZIP, snappy: CompressionTypes.Snappy, lz4: CompressionTypes.LZ4,
                 zstd: CompressionTypes.ZSTD};
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
/** A member in a process of its own, so that it can die. */
function startMember(group) {
  const child = spawn(process.execPath, [__filename, process.argv[2], 'member', group], {stdio: ['pipe', 'pipe', 'inherit']});
  const self = {values: new Set(), partitions: []};
  const ended = new Promise(resolve => child.on('exit', resolve));
  require('readline').createInterface({input: child.stdout}).on('line', line => {
    const [, word, rest] = line.match(/^(\w+) ?(.*)$/);
    if (word === 'assigned') self.partitions = rest ? rest.split(',') : [];
    if (word === 'value') self.values.add(rest);
  });
  self.leave = () => { child.stdin.end(); return ended; };
  self.die = () => { child.kill('SIGKILL'); return ended; };
  return self;
}
async function beMember(group) {
  const consumer = kafka.consumer({groupId: group, sessionTimeout: 6000, heartbeatInterval: 500, rebalanceTimeout: 6000});
  consumer.on(consumer.events.GROUP_JOIN, e => console.log('assigned ' + Object.values(e.payload.memberAssignment).flat().join()));
  await consumer.connect();
  await consumer.subscribe({topic: group, fromBeginning: true});
  await consumer.run({autoCommitThreshold: 1, eachMessage: async ({message}) => console.log('value ' + message.value)});
  process.stdin.on('end', () => consumer.disconnect().then(() => process.exit(0)));
  process.stdin.resume();
}
async function group(name) {
  const shares = counts => until(() => counts.every((count, i) => members[i].partitions.length === count), 'each has its share');
  const read = count => until(() => new Set(members.flatMap(m => [...m.values])).size === count, 'all is read');
  await produce(name, 'lz4', 0, 600, 6);
  const members = [startMember(name), startMember(name)];
  await shares([3, 3]);
  members.push(startMember(name));
  await shares([2, 2, 2]);
  await read(600);
  await members[2].die();
  await shares([3, 3]);
  await produce(name, 'none', 600, 660, 6);
  await read(660);
  await members[1].leave();
  await shares([6]);
  await members[0].leave();
}

(async () => {
  await zstd.init();
  if (process.argv[3] === 'member') return beMember(process.argv[4]);
  console.log('version kafkajs ' + require('kafkajs/package.json').version);
  const admin = kafka.admin();
  await admin.connect();
  await feature('admin', async () => {
    await admin.createTopics({waitForLeaders: true, topics: [
      {topic: 'codecs', numPartitions: 3, configEntries: [{name: 'segment.bytes', value: '1048576'}]},
      {topic: 'eager', numPartitions: 6}, {topic: 'doomed', numPartitions: 1}]});
    await admin.deleteTopics({topics: ['doomed']});
    check((await admin.listTopics()).sort().join() === 'codecs,eager', await admin.listTopics());
    check((await admin.fetchTopicMetadata({topics: ['eager']})).topics[0].partitions.length === 6, 'partitions');
    const configs = await admin.describeConfigs({includeSynonyms: false, resources: [{type: 2, name: 'codecs', configNames: ['segment.bytes']}]});
    check(configs.resources[0].configEntries[0].configValue === '1048576', configs);
    check((await admin.describeCluster()).brokers.length === 1, 'brokers');
  });
  let from = 0;
  for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
    const begin = from;
    await feature('produce ' + codec, () => produce('codecs', codec, begin, begin + 300, 3));
    from += 300;
  }
  await feature('consume', async () => {
    const reader = await member('reader', 'codecs');
    await until(() => reader.values.size === 1500, 'all is read');
    check(reader.got.length === 1500 && new Set(reader.got.map(g => g.codec)).size === 5, 'each once');
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
  await feature('delete records', async () => {
    await admin.deleteTopicRecords({topic: 'codecs', partitions: [{partition: 0, offset: '100'}]});
    const offsets = await admin.fetchTopicOffsets('codecs');
    check(offsets.find(o => o.partition === 0).low === '100', offsets);
  });
  await feature('group, eager', () => group('eager'));
  lacks('group, cooperative', 'no incremental rebalances (KIP-429)');
  lacks('group, static membership', 'no group.instance.id (KIP-345)');
  await feature('commit and resume', async () => {
    await produce('eager', 'none', 660, 720, 6);
    const reader = await member('eager', 'eager');
    await until(() => reader.got.length >= 60, 'resumes');
    check(reader.got.every(g => Number(g.key.slice(1)) >= 660) && reader.got.length === 60, reader.got.length);
    await reader.stop();
    const committed = await admin.fetchOffsets({groupId: 'eager', topics: ['eager']});
    check(committed[0].partitions.every(p => p.offset === '120'), committed);
  });
  await feature('group administration', async () => {
    check((await admin.listGroups()).groups.length === 3, 'list');
    check((await admin.describeGroups(['eager'])).groups[0].state === 'Empty', 'describe');
    await admin.setOffsets({groupId: 'eager', topic: 'eager', partitions: [{partition: 0, offset: '7'}]});
    const offsets = await admin.fetchOffsets({groupId: 'eager', topics: ['eager']});
    check(offsets[0].partitions.find(p => p.partition === 0).offset === '7', offsets);
    await admin.deleteGroups(['eager', 'reader', 'seeker']);
    check((await admin.listGroups()).groups.length === 0, 'gone');
  });
  await admin.disconnect();
  process.exit(failed ? 1 : 0);
})();
