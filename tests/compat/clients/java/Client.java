// Kafka's own Java clients against the broker: prints "ok FEATURE" or "failed FEATURE: why" for each.
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

  static KafkaConsumer<String, String> consumer(String group, String assignor) {
    Map<String, Object> config = new HashMap<>();
    config.put("bootstrap.servers", address);
    if (group != null) config.put("group.id", group);
    config.put("auto.offset.reset", "earliest");
    config.put("enable.auto.commit", false);
    config.put("session.timeout.ms", 6000);
    config.put("heartbeat.interval.ms", 500);
    if (assignor != null) config.put("partition.assignment.strategy", assignor);
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

  /** Polls on a thread of its own, and commits what it got, until it is told to leave. */
  static class Member implements Runnable {
    final Set<String> values = ConcurrentHashMap.newKeySet();
    final Thread thread = new Thread(this);
    volatile int assigned = 0;
    volatile boolean leaving = false;
    final String group, assignor;

    Member(String group, String assignor) {
      this.group = group;
      this.assignor = assignor;
      thread.start();
    }

    public void run() {
      try (KafkaConsumer<String, String> consumer = consumer(group, assignor)) {
        consumer.subscribe(List.of("grouped"));
        while (!leaving) {
          ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(100));
          for (ConsumerRecord<String, String> record : records) values.add(record.value());
          assigned = consumer.assignment().size();
          try {
            if (!records.isEmpty()) consumer.commitSync();
          } catch (CommitFailedException rebalanced) {
            // Who has the partitions now reads those again.
          }
        }
      }
    }

    void leave() throws Exception {
      leaving = true;
      thread.join();
    }
  }

  static void await(Callable<Boolean> condition, String what) throws Exception {
    long deadline = System.nanoTime() + 40_000_000_000L;
    while (!condition.call()) {
      check(System.nanoTime() < deadline, what);
      Thread.sleep(20);
    }
  }

  static void group(String group, String assignor) throws Exception {
    List<Member> members = new ArrayList<>();
    for (int i = 0; i < 3; ++i) members.add(new Member(group, assignor));
    await(() -> members.stream().allMatch(m -> m.assigned == 2), "all join");
    await(() -> members.stream().flatMap(m -> m.values.stream()).collect(Collectors.toSet()).size() == 600, "all is read");
    members.remove(2).leave();
    await(() -> members.stream().mapToInt(m -> m.assigned).sum() == 6, "the others take over");
    for (Member member : members) member.leave();
  }

  public static void main(String[] args) throws Exception {
    address = args[0];
    System.out.println("version kafka-clients " + org.apache.kafka.common.utils.AppInfoParser.getVersion());
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", address))) {
      feature("admin", () -> {
        admin.createTopics(List.of(new NewTopic("codecs", 3, (short) 1).configs(Map.of("segment.bytes", "1048576")),
                                   new NewTopic("grouped", 6, (short) 1), new NewTopic("doomed", 1, (short) 1))).all().get();
        admin.deleteTopics(List.of("doomed")).all().get();
        check(admin.listTopics().names().get().equals(Set.of("codecs", "grouped")), admin.listTopics().names().get());
        check(admin.describeTopics(List.of("grouped")).allTopicNames().get().get("grouped").partitions().size() == 6, "partitions");
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
      produce("grouped", "lz4", 0, 600, 6);
      feature("group, eager", () -> group("eager", "org.apache.kafka.clients.consumer.RangeAssignor"));
      feature("group, cooperative", () -> group("cooperative", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"));
      feature("commit and resume", () -> {
        produce("grouped", "none", 600, 660, 6);
        try (KafkaConsumer<String, String> consumer = consumer("eager", null)) {
          consumer.subscribe(List.of("grouped"));
          List<ConsumerRecord<String, String>> got = poll(consumer, 60);
          check(got.size() == 60 && got.stream().allMatch(r -> Integer.parseInt(r.key().substring(1)) >= 600), got.size());
          consumer.commitSync();
          check(consumer.committed(consumer.assignment()).values().stream().allMatch(c -> c.offset() == 110), "committed");
        }
      });
      feature("group administration", () -> {
        check(admin.listConsumerGroups().all().get().size() == 2, admin.listConsumerGroups().all().get());
        check(admin.describeConsumerGroups(List.of("eager")).all().get().get("eager").members().isEmpty(), "members");
        TopicPartition partition = new TopicPartition("grouped", 0);
        check(admin.listConsumerGroupOffsets("eager").partitionsToOffsetAndMetadata().get().get(partition).offset() == 110, "offset");
        admin.alterConsumerGroupOffsets("eager", Map.of(partition, new OffsetAndMetadata(7))).all().get();
        check(admin.listConsumerGroupOffsets("eager").partitionsToOffsetAndMetadata().get().get(partition).offset() == 7, "altered");
        admin.deleteConsumerGroupOffsets("eager", Set.of(partition)).all().get();
        admin.deleteConsumerGroups(List.of("eager", "cooperative")).all().get();
        check(admin.listConsumerGroups().all().get().isEmpty(), "gone");
      });
    }
    System.exit(failed ? 1 : 0);
  }
}
