// A Kafka Streams application: how many readings each device had in each minute, from the topic "readings" to the topic
// "counts" (key DEVICE@MINUTE_MS, value: the count so far). Runs until it is stopped.
//
//   java Counts ADDRESS STATE_FOLDER changelog|no-changelog
import java.time.Duration;
import java.util.*;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.state.WindowStore;

public class Counts {
  /** The string behind "device": in a reading. */
  static String deviceOf(String reading) {
    String before = "\"device\":\"";
    int from = reading.indexOf(before) + before.length();
    return reading.substring(from, reading.indexOf('"', from));
  }

  static Topology topology(boolean changelog) {
    Materialized<String, Long, WindowStore<Bytes, byte[]>> store = Materialized.as("per-minute");
    StreamsBuilder builder = new StreamsBuilder();
    builder.<String, String>stream("readings")
        .selectKey((key, reading) -> deviceOf(reading))  // a new key: goes through a repartition topic
        .groupByKey()
        .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofMinutes(1), Duration.ofHours(1)))
        .count(changelog ? store : store.withLoggingDisabled())
        .toStream()
        .map((window, count) -> KeyValue.pair(window.key() + "@" + window.window().start(), Long.toString(count)))
        .to("counts", Produced.with(Serdes.String(), Serdes.String()));
    return builder.build();
  }

  public static void main(String[] args) throws Exception {
    Properties config = new Properties();
    config.put(StreamsConfig.APPLICATION_ID_CONFIG, "per-device");
    config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
    config.put(StreamsConfig.STATE_DIR_CONFIG, args[1]);
    config.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
    config.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
    config.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.AT_LEAST_ONCE);
    config.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 200);
    config.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);  // each new count is sent
    config.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
    config.put(StreamsConfig.consumerPrefix(ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG), 6000);
    config.put(StreamsConfig.consumerPrefix(ConsumerConfig.HEARTBEAT_INTERVAL_MS_CONFIG), 500);

    KafkaStreams streams = new KafkaStreams(topology(args[2].equals("changelog")), config);
    CountDownLatch ended = new CountDownLatch(1);
    streams.setStateListener((now, before) -> {
      System.out.println("state " + now);
      if (now == KafkaStreams.State.ERROR || now == KafkaStreams.State.NOT_RUNNING) ended.countDown();
    });
    streams.setUncaughtExceptionHandler(error -> {
      error.printStackTrace();
      return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
    });
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      if (!streams.close(Duration.ofSeconds(20))) System.out.println("did not close in time");
    }));
    System.out.println("version kafka-streams " + org.apache.kafka.common.utils.AppInfoParser.getVersion());
    streams.start();
    ended.await();
  }
}
