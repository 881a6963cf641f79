#include "cluster/cli/log_dump.h"

#include <filesystem>

#include "cluster/cli/record_printer.h"
#include "cluster/cli/text.h"
#include "common/config/settings.h"
#include "common/env/file_system.h"

namespace tributary {
namespace {


/// The folder of a segment is named after its partition; "segment-0" stands for one that is not.
TopicPartition partition_of_path(const std::string& path) {
  const auto folder = std::filesystem::absolute(path).parent_path().filename().string();
  const auto dash = folder.rfind('-');
  if (dash != std::string::npos && dash > 0 && dash + 1 < folder.size() && folder.size() - dash < 11 &&
      folder.find_first_not_of("0123456789", dash + 1) == std::string::npos)
    return {folder.substr(0, dash), PartitionIndex(static_cast<std::int32_t>(std::stol(folder.substr(dash + 1))))};
  return {"segment", PartitionIndex(0)};
}

std::string text_of(const BatchHeader& header, std::uint64_t position, std::string_view verdict) {
  auto out = fmt::format("at {} offsets {}..{} records {} bytes {} {} time {}", position, header.base_offset,
                         header.last_offset(), header.record_count, header.total_bytes(), name_of(header.compression()),
                         format_time(header.base_timestamp_ms));
  if (header.max_timestamp_ms != header.base_timestamp_ms) out += ".." + format_time(header.max_timestamp_ms);
  out += fmt::format(" leader epoch {}", header.partition_leader_epoch);
  if (header.idempotent())
    out += fmt::format(" producer {} epoch {} sequence {}..{}", header.producer_id, header.producer_epoch,
                       header.base_sequence, header.control() ? header.base_sequence : header.last_sequence());
  if (header.timestamp_type() == TimestampType::kLogAppendTime) out += " log-append-time";
  if (header.transactional()) out += " transactional";
  if (header.control()) out += " control";
  return fmt::format("{} crc {:08x} {}\n", out, header.crc, verdict);
}

std::string json_of(const BatchHeader& header, std::uint64_t position, std::string_view verdict) {
  auto out = fmt::format(
      "{{\"position\":{},\"base_offset\":{},\"last_offset\":{},\"records\":{},\"bytes\":{},\"compression\":\"{}\","
      "\"base_timestamp_ms\":{},\"max_timestamp_ms\":{},\"leader_epoch\":{},\"producer_id\":{},\"producer_epoch\":{},"
      "\"base_sequence\":{},\"transactional\":{},\"control\":{},\"crc32c\":\"{:08x}\",\"ok\":{}",
      position, header.base_offset, header.last_offset(), header.record_count, header.total_bytes(),
      name_of(header.compression()), header.base_timestamp_ms, header.max_timestamp_ms, header.partition_leader_epoch,
      header.producer_id, header.producer_epoch, header.base_sequence, header.transactional(), header.control(), header.crc,
      verdict == "ok");
  if (verdict != "ok") {
    out += ",\"error\":";
    append_json_string(out, verdict);
  }
  return out + "}\n";
}

class Dump {
 public:
  Dump(const LogDumpFlags& flags, const CommandIo& io) : flags_(flags), io_(io), partition_(partition_of_path(flags.file)) {}
  Result<bool> run();

 private:
  /// False where no next batch can be found.
  Result<bool> next_batch(std::uint64_t file_bytes);
  [[nodiscard]] std::string verdict_of(const BatchHeader& header);
  Result<> print_records(const BatchHeader& header);
  Result<> complain(const std::string& what);

  const LogDumpFlags& flags_;
  const CommandIo& io_;
  const TopicPartition partition_;
  std::shared_ptr<File> file_;
  std::uint64_t position_ = 0;
  Offset expected_{0};  // at least, of the next batch
  std::int64_t batches_ = 0, records_ = 0, bad_ = 0;
  Bytes batch_;
  Decompressor decompressor_;
};

Result<> Dump::complain(const std::string& what) {
  ++bad_;
  const auto text = fmt::format("{} at byte {}: {}", flags_.file, position_, what);
  if (!flags_.json) return io_.output.write(text + "\n");
  std::string json = fmt::format("{{\"position\":{},\"ok\":false,\"error\":", position_);
  append_json_string(json, text);
  return io_.output.write(json + "}\n");
}

std::string Dump::verdict_of(const BatchHeader& header) {
  if (auto valid = validate_stored_batch(batch_); !valid) return valid.error().message;
  if (header.base_offset < expected_)
    return fmt::format("offset {} comes again or out of order, {} was next", header.base_offset, expected_);
  if (!flags_.records) return "ok";
  auto reader = RecordReader::open(batch_, kPrintedBatchBytesMax, decompressor_);
  if (!reader) return reader.error().message;
  RecordView record;
  for (;;) {
    auto more = reader->next(record);
    if (!more) return more.error().message;
    if (!*more) return "ok";
  }
}

Result<> Dump::print_records(const BatchHeader& header) {
  auto reader = RecordReader::open(batch_, kPrintedBatchBytesMax, decompressor_);
  if (!reader || header.control()) return {};
  RecordView record;
  std::string text;
  for (auto more = reader->next(record); more && *more; more = reader->next(record)) {
    if (!flags_.json) text += "  ";
    append_record(text, flags_.json ? RecordFormat::kJson : RecordFormat::kText, partition_, record);
  }
  return io_.output.write(text);
}

Result<bool> Dump::next_batch(std::uint64_t file_bytes) {
  const auto left = file_bytes - position_;
  std::array<std::uint8_t, kBatchHeaderSize> head;
  ASSIGN_OR_RETURN(const auto head_bytes, file_->read_at(position_, head));
  const auto header = parse_batch_header(ByteView(head).first(head_bytes));
  if (!header || header->total_bytes() > left) {
    RETURN_IF_ERROR(complain(header ? fmt::format("torn batch: {} bytes, only {} are there", header->total_bytes(), left)
                                    : header.error().message));
    return false;
  }
  batch_.resize(header->total_bytes());  // at most what the file holds
  ASSIGN_OR_RETURN(const auto batch_bytes, file_->read_at(position_, batch_));
  batch_.resize(batch_bytes);
  const auto verdict = verdict_of(*header);
  if (verdict != "ok") ++bad_;
  RETURN_IF_ERROR(io_.output.write(flags_.json ? json_of(*header, position_, verdict) : text_of(*header, position_, verdict)));
  if (flags_.records) RETURN_IF_ERROR(print_records(*header));
  ++batches_;
  records_ += header->record_count;
  expected_ = std::max(expected_, header->next_offset());
  position_ += header->total_bytes();
  return true;
}

Result<bool> Dump::run() {
  std::error_code unknown;  // what cannot be looked at cannot be opened either, which says why
  if (std::filesystem::is_directory(flags_.file, unknown))
    return fail(Errc::kInvalidArgument, flags_.file + " is a folder; give one of its *.log files");
  ASSIGN_OR_RETURN(file_, posix_file_system().open(flags_.file, OpenMode::kRead));
  ASSIGN_OR_RETURN(const auto file_bytes, file_->size());
  while (position_ < file_bytes && !io_.stop.requested()) {
    ASSIGN_OR_RETURN(const bool more, next_batch(file_bytes));
    if (!more) break;
  }
  RETURN_IF_ERROR(io_.output.flush());
  io_.say(fmt::format("{}: {} batches, {} records, {} of {} bytes read, {} faults", flags_.file, batches_, records_, position_,
                      file_bytes, bad_));
  if (position_ < file_bytes && io_.stop.requested())
    return fail(Errc::kUnavailable, "stopped before the end of the file");
  return bad_ == 0;
}

}  // namespace

void declare_log_command(Settings& program, LogDumpFlags& flags) {
  auto& log = program.command("log", "Looks into log files, without a broker");
  auto& dump = log.command("dump", "Lists the batches of a segment file and checks their CRC. Exit code 1 if one is damaged");
  dump.argument("FILE", flags.file, "A segment: 00000000000000000000.log in a folder TOPIC-PARTITION");
  dump.flag_only("--records", flags.records, "The records too (decompressed and checked)");
  dump.flag_only("--json", flags.json, "One JSON object a line");
  dump.example("tributary log dump data/readings-0/00000000000000000000.log");
  dump.example("tributary log dump --records --json data/readings-0/00000000000000000000.log");
}

Result<bool> log_dump_command(const LogDumpFlags& flags, const CommandIo& io) { return Dump(flags, io).run(); }

}  // namespace tributary
