// Kafka's own Java clients against the broker: prints "ok FEATURE" or "failed FEATURE: why" for each.
// "Client ADDRESS member GROUP ASSIGNOR INSTANCE" reads the topic GROUP as a member until its input ends: prints
// "assigned PARTITIONS" when that changes, "value VALUE" for each record that is committed.
import java.io.*;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.InvalidRecordException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.*;

public class Client {
  static String address;
  static boolean failed = false;

  interface Step { void run() throws Exception; }

  static void feature(String name, Step step) {
    try {
      step.run();
      System.out.println("ok " + name);
    } catch (Throwable error) {
      failed = true;
      System.out.println("failed " + name + ": " + error);
      error.printStackTrace();
    }
    System.out.flush();
  }

  static void check(boolean holds, Object what) {
    if (!holds) throw new AssertionError(String.valueOf(what));
  }

  static KafkaProducer<String, String> producer(String codec) {
    return producer(codec, 5);
  }

  static KafkaProducer<String, String> producer(String codec, int lingerMs) {
    Map<String, Object> config = new HashMap<>();
    config.put("bootstrap.servers", address);
    config.put("compression.type", codec);
    config.put("linger.ms", lingerMs);
    return new KafkaProducer<>(config, new StringSerializer(), new StringSerializer());
  }

  static KafkaConsumer<String, String> consumer(String group, String assignor) { return consumer(group, assignor, Map.of()); }

  static KafkaConsumer<String, String> consumer(String group, String assignor, Map<String, Object> more) {
    Map<String, Object> config = new HashMap<>();
    config.put("bootstrap.servers", address);
    if (group != null) config.put("group.id", group);
    config.put("auto.offset.reset", "earliest");
    config.put("enable.auto.commit", false);
    config.put("session.timeout.ms", 6000);
    config.put("heartbeat.interval.ms", 500);
    if (assignor != null) config.put("partition.assignment.strategy", assignor);
    config.putAll(more);
    return new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
  }

  static void produce(String topic, String codec, int from, int to, int partitions) throws Exception {
    try (KafkaProducer<String, String> producer = producer(codec)) {
      List<Future<RecordMetadata>> sent = new ArrayList<>();
      for (int i = from; i < to; ++i)
        sent.add(producer.send(new ProducerRecord<>(topic, i % partitions, 1_700_000_000_000L + i, "k" + i, codec + " " + i)));
      for (Future<RecordMetadata> one : sent) one.get(30, TimeUnit.SECONDS);
    }
  }

  static List<ConsumerRecord<String, String>> poll(KafkaConsumer<String, String> consumer, int count) {
    List<ConsumerRecord<String, String>> got = new ArrayList<>();
    long deadline = System.nanoTime() + 40_000_000_000L;
    while (got.size() < count && System.nanoTime() < deadline)
      for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100))) got.add(record);
    return got;
  }

  static void beMember(String group, String assignor, String instance) {
    String name = "org.apache.kafka.clients.consumer." + assignor;
    Map<String, Object> more = instance.isEmpty() ? Map.of() : Map.of("group.instance.id", instance, "session.timeout.ms", 45000);
    try (KafkaConsumer<String, String> consumer = consumer(group, name, more)) {
      consumer.subscribe(List.of(group));
      Thread leaving = new Thread(() -> {
        try { System.in.readAllBytes(); } catch (IOException gone) { }
      });
      leaving.start();
      String assigned = "";
      List<String> pending = new ArrayList<>();
      while (leaving.isAlive()) {
        for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100))) pending.add(record.value());
        String now = consumer.assignment().stream().map(p -> "" + p.partition()).sorted().collect(Collectors.joining(","));
        if (!now.equals(assigned)) System.out.println("assigned " + now);
        assigned = now;
        try {
          if (!pending.isEmpty()) consumer.commitSync();
        } catch (CommitFailedException | org.apache.kafka.common.errors.RebalanceInProgressException rebalanced) {
          continue;  // The next commit is of those as well, or who has the partitions now reads them again.
        }
        for (String value : pending) System.out.println("value " + value);
        pending.clear();
      }
    }
  }

  /** A process of its own, so that it can die. */
  static class Member {
    final Set<String> values = ConcurrentHashMap.newKeySet();
    volatile List<String> partitions = List.of();
    final Process process;

    Member(String group, String assignor, String instance) throws Exception {
      String java = ProcessHandle.current().info().command().orElse("java");
      process = new ProcessBuilder(java, "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp",
                                   System.getProperty("java.class.path"), "Client", address, "member", group, assignor, instance)
                    .redirectError(ProcessBuilder.Redirect.INHERIT).start();
      Thread watch = new Thread(() -> process.inputReader().lines().forEach(line -> {
        String[] words = line.split(" ", 2);
        if (words[0].equals("assigned")) partitions = words[1].isEmpty() ? List.of() : List.of(words[1].split(","));
        if (words[0].equals("value")) values.add(words[1]);
      }));
      watch.setDaemon(true);
      watch.start();
    }

    void leave() throws Exception {
      process.getOutputStream().close();
      check(process.waitFor(30, TimeUnit.SECONDS), "a member leaves");
    }

    void die() throws Exception { process.destroyForcibly().waitFor(); }
  }

  static void await(Callable<Boolean> condition, String what, int seconds) throws Exception {
    long deadline = System.nanoTime() + seconds * 1_000_000_000L;
    while (!condition.call()) {
      check(System.nanoTime() < deadline, what);
      Thread.sleep(20);
    }
  }

  static void awaitShares(List<Member> members, Integer... counts) throws Exception {
    await(() -> members.stream().map(m -> m.partitions.size()).toList().equals(List.of(counts)), "each has its share", 40);
  }

  static void awaitValues(List<Member> members, int count) throws Exception {
    await(() -> members.stream().flatMap(m -> m.values.stream()).distinct().count() == count, "all is read", 40);
  }

  static void group(String name, String assignor) throws Exception {
    produce(name, "lz4", 0, 600, 6);
    List<Member> members = new ArrayList<>();
    for (int i = 0; i < 2; ++i) members.add(new Member(name, assignor, ""));
    awaitShares(members, 3, 3);
    members.add(new Member(name, assignor, ""));
    awaitShares(members, 2, 2, 2);
    awaitValues(members, 600);
    members.get(2).die();
    awaitShares(members.subList(0, 2), 3, 3);
    produce(name, "none", 600, 660, 6);
    awaitValues(members, 660);
    members.get(1).leave();
    awaitShares(members.subList(0, 1), 6);
    members.get(0).leave();
  }

  static void staticGroup() throws Exception {
    List<Member> members = new ArrayList<>();
    for (String instance : List.of("one", "two")) members.add(new Member("static", "RangeAssignor", instance));
    awaitShares(members, 3, 3);
    List<String> had = members.get(1).partitions;
    members.get(1).die();
    members.set(1, new Member("static", "RangeAssignor", "two"));
    await(() -> members.get(1).partitions.equals(had), "it has its partitions again, long before its session ends", 20);
    produce("static", "none", 0, 60, 6);
    awaitValues(members, 60);
    for (Member member : members) member.leave();
  }

  public static void main(String[] args) throws Exception {
    address = args[0];
    if (args.length > 1) {
      beMember(args[2], args[3], args[4]);
      System.exit(0);
    }
    System.out.println("version kafka-clients " + org.apache.kafka.common.utils.AppInfoParser.getVersion());
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", address))) {
      feature("admin", () -> {
        admin.createTopics(List.of(new NewTopic("codecs", 3, (short) 1).configs(Map.of("segment.bytes", "1048576")),
                                   new NewTopic("eager", 6, (short) 1), new NewTopic("cooperative", 6, (short) 1),
                                   new NewTopic("static", 6, (short) 1), new NewTopic("doomed", 1, (short) 1))).all().get();
        admin.deleteTopics(List.of("doomed")).all().get();
        Set<String> names = admin.listTopics().names().get();
        check(names.equals(Set.of("codecs", "eager", "cooperative", "static")), names);
        check(admin.describeTopics(List.of("eager")).allTopicNames().get().get("eager").partitions().size() == 6, "partitions");
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, "codecs");
        check(admin.describeConfigs(List.of(resource)).all().get().get(resource).get("segment.bytes").value().equals("1048576"), "config");
        check(admin.describeCluster().nodes().get().size() == 1, "nodes");
      });
      String[] codecs = {"none", "gzip", "snappy", "lz4", "zstd"};
      for (int i = 0; i < codecs.length; ++i) {
        int from = i * 300;
        String codec = codecs[i];
        feature("produce " + codec, () -> produce("codecs", codec, from, from + 300, 3));
      }
      feature("consume", () -> {
        try (KafkaConsumer<String, String> consumer = consumer(null, null)) {
          consumer.assign(IntStream.range(0, 3).mapToObj(p -> new TopicPartition("codecs", p)).toList());
          consumer.seekToBeginning(consumer.assignment());
          List<ConsumerRecord<String, String>> got = poll(consumer, 1500);
          check(got.stream().map(ConsumerRecord::value).distinct().count() == 1500 && got.size() == 1500, got.size());
          check(consumer.endOffsets(consumer.assignment()).values().stream().allMatch(end -> end == 500), "end offsets");
        }
      });
      feature("seek by time", () -> {
        try (KafkaConsumer<String, String> consumer = consumer(null, null)) {
          TopicPartition partition = new TopicPartition("codecs", 1);
          OffsetAndTimestamp found = consumer.offsetsForTimes(Map.of(partition, 1_700_000_000_000L + 700)).get(partition);
          check(found.timestamp() == 1_700_000_000_700L, found);
          consumer.assign(List.of(partition));
          consumer.seek(partition, found.offset());
          check(poll(consumer, 1).get(0).key().equals("k700"), "the record at that time");
        }
      });
      feature("delete records", () -> {
        TopicPartition partition = new TopicPartition("codecs", 0);
        check(admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(100))).lowWatermarks().get(partition).get().lowWatermark() == 100, "low watermark");
        try (KafkaConsumer<String, String> consumer = consumer(null, null)) {
          check(consumer.beginningOffsets(List.of(partition)).get(partition) == 100, "beginning");
        }
      });
      feature("refused records are named", () -> {
        admin.createTopics(List.of(new NewTopic("compacted", 1, (short) 1).configs(Map.of("cleanup.policy", "compact")))).all().get();
        try (KafkaProducer<String, String> producer = producer("lz4", 500)) {
          List<Future<RecordMetadata>> sent = new ArrayList<>();
          for (String key : Arrays.asList("a", null, "c")) sent.add(producer.send(new ProducerRecord<>("compacted", 0, key, "value")));
          producer.flush();
          for (int i = 0; i < 3; ++i) {
            try {
              sent.get(i).get();
              check(false, "record " + i + " was taken");
            } catch (ExecutionException refused) {
              check(refused.getCause() instanceof InvalidRecordException == (i == 1), refused);
              check(refused.getMessage().contains("it has no key") == (i == 1), refused);
            }
          }
        }
      });
      feature("group, eager", () -> group("eager", "RangeAssignor"));
      feature("group, cooperative", () -> group("cooperative", "CooperativeStickyAssignor"));
      feature("group, static membership", Client::staticGroup);
      feature("commit and resume", () -> {
        produce("eager", "none", 660, 720, 6);
        try (KafkaConsumer<String, String> consumer = consumer("eager", null)) {
          consumer.subscribe(List.of("eager"));
          List<ConsumerRecord<String, String>> got = poll(consumer, 60);
          check(got.size() == 60 && got.stream().allMatch(r -> Integer.parseInt(r.key().substring(1)) >= 660), got.size());
          consumer.commitSync();
          check(consumer.committed(consumer.assignment()).values().stream().allMatch(c -> c.offset() == 120), "committed");
        }
      });
      feature("group administration", () -> {
        check(admin.listConsumerGroups().all().get().size() == 3, admin.listConsumerGroups().all().get());
        check(admin.describeConsumerGroups(List.of("eager")).all().get().get("eager").members().isEmpty(), "members");
        TopicPartition partition = new TopicPartition("eager", 0);
        check(admin.listConsumerGroupOffsets("eager").partitionsToOffsetAndMetadata().get().get(partition).offset() == 120, "offset");
        admin.alterConsumerGroupOffsets("eager", Map.of(partition, new OffsetAndMetadata(7))).all().get();
        check(admin.listConsumerGroupOffsets("eager").partitionsToOffsetAndMetadata().get().get(partition).offset() == 7, "altered");
        admin.deleteConsumerGroupOffsets("eager", Set.of(partition)).all().get();
        admin.removeMembersFromConsumerGroup("static", new RemoveMembersFromConsumerGroupOptions(
            List.of(new MemberToRemove("one"), new MemberToRemove("two")))).all().get();  // static members do not leave
        admin.deleteConsumerGroups(List.of("eager", "cooperative", "static")).all().get();
        check(admin.listConsumerGroups().all().get().isEmpty(), "gone");
      });
    }
    System.exit(failed ? 1 : 0);
  }
}
