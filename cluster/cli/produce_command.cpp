#include "cluster/cli/produce_command.h"

#include <atomic>

#include "cluster/cli/line_input.h"
#include "cluster/client/producer.h"
#include "common/config/settings.h"

namespace tributary {
namespace {

struct KeyAndValue {
  std::optional<ByteView> key;
  ByteView value;
};

Result<KeyAndValue> split(std::string_view line, std::string_view separator, std::int64_t line_number) {
  if (separator.empty()) return KeyAndValue{std::nullopt, as_bytes(line)};
  const auto at = line.find(separator);
  if (at == std::string_view::npos)
    return fail(Errc::kInvalidArgument, fmt::format("line {} has no key separator \"{}\"", line_number, separator));
  return KeyAndValue{as_bytes(line.substr(0, at)), as_bytes(line.substr(at + separator.size()))};
}

Result<std::vector<HeaderView>> headers_of(const std::vector<std::string>& texts) {
  std::vector<HeaderView> headers;
  for (const auto& text : texts) {
    const auto equals = text.find('=');
    if (equals == std::string::npos)
      return fail(Errc::kInvalidArgument, fmt::format("--header \"{}\": expected NAME=VALUE", text));
    headers.push_back({std::string_view(text).substr(0, equals), as_bytes(std::string_view(text).substr(equals + 1))});
  }
  return headers;
}

Result<> produce_lines(Producer& producer, const ProduceFlags& flags, const CommandIo& io) {
  ASSIGN_OR_RETURN(const auto headers, headers_of(flags.headers));
  std::optional<PartitionIndex> partition;
  if (flags.partition >= 0) partition = PartitionIndex(flags.partition);
  LineInput input(io.input, io.stop, flags.line_bytes_max);
  for (;;) {
    ASSIGN_OR_RETURN(const auto line, input.next());
    if (!line) return {};
    ASSIGN_OR_RETURN(const auto record, split(*line, flags.key_separator, input.line_number()));
    RETURN_IF_ERROR(producer.send(flags.topic, {.key = record.key, .value = record.value, .headers = headers}, partition));
  }
}

}  // namespace

void declare_produce_command(Settings& program, ProduceFlags& flags) {
  auto& produce = program.command(
      "produce", "Sends each line of standard input as a record, idempotently, and waits until all are on disk. "
                 "Exit code 1 if one could not be delivered");
  produce.flag_only("--topic,-t", flags.topic, "The topic").placeholder("TOPIC").required();
  produce.flag_only("--key-separator,-K", flags.key_separator, "What stands between a line's key and its value")
      .placeholder("TEXT").default_text("lines have no key");
  produce.flag_only("--compression,-z", flags.compression, "The codec of the batches")
      .choices({"none", "gzip", "snappy", "lz4", "zstd"});
  produce.flag_only("--partition,-p", flags.partition, "Into this partition").placeholder("N")
      .default_text("by key; without key one after the other");
  produce.flag_only("--header,-H", flags.headers, "A header of every record").placeholder("NAME=VALUE");
  produce.flag_only("--linger", flags.linger, "How long a batch waits for more lines").range("0", "1m");
  produce.bytes("", flags.batch_bytes, "Size at which a batch is sent").flag("--batch-bytes").range("1KiB", "900KiB");
  produce.bytes("", flags.line_bytes_max, "A longer line is refused").flag("--line-bytes-max").range("1", "14MiB");
  produce.example("echo 'hello' | tributary produce --topic notes");
  produce.example("tributary produce -t readings -K : --compression zstd < lines.txt", "each line is KEY:VALUE");
}

Result<> produce_command(const ClusterFlags& cluster, const ProduceFlags& flags, const CommandIo& io) {
  ASSIGN_OR_RETURN(const auto client, connect_for(cluster));
  std::atomic<std::int64_t> records{0}, bytes{0}, batches{0};
  ProducerOptions options;
  options.compression = parse_compression(flags.compression).value_or(Compression::kNone);
  options.batch_bytes = flags.batch_bytes;
  options.linger = flags.linger;
  options.delivery_timeout = std::max<Duration>(cluster.timeout, std::chrono::seconds(1));
  options.on_delivered = [&](const ProducerOptions::Delivered& delivered) {
    records += delivered.record_count;
    bytes += static_cast<std::int64_t>(delivered.batch_bytes);
    ++batches;
  };
  Producer producer(*client, options);
  // What was read before a bad line or a stop signal is delivered all the same.
  auto result = produce_lines(producer, flags, io);
  const auto flushed = producer.flush(options.delivery_timeout + std::chrono::seconds(5));
  if (result && !flushed) result = flushed;
  io.say(fmt::format("{} records in {} batches ({} bytes) are in topic {}", records.load(), batches.load(), bytes.load(),
                     flags.topic));
  return result;
}

}  // namespace tributary
