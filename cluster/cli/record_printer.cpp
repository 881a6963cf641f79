#include "cluster/cli/record_printer.h"

#include "cluster/cli/text.h"

namespace tributary {
namespace {

void append_text(std::string& out, const TopicPartition& partition, const RecordView& record) {
  fmt::format_to(std::back_inserter(out), "{} {}@{} ", format_time(record.timestamp_ms), partition, record.offset);
  if (record.key) append_printable(out, *record.key);
  else out += '-';
  out += ' ';
  if (record.value) append_printable(out, *record.value);
  else out += "(null)";
  if (record.headers.empty()) return;
  out += " [";
  for (std::size_t i = 0; i < record.headers.size(); ++i) {
    if (i > 0) out += ", ";
    append_printable(out, as_bytes(record.headers[i].key));
    out += '=';
    if (record.headers[i].value) append_printable(out, *record.headers[i].value);
    else out += "(null)";
  }
  out += ']';
}

/// `"name":"text"`, `"name":null` or `"name_base64":"…"`.
void append_field(std::string& out, std::string_view name, const std::optional<ByteView>& bytes) {
  const bool binary = bytes && !is_utf8(*bytes);
  fmt::format_to(std::back_inserter(out), "\"{}{}\":", name, binary ? "_base64" : "");
  if (!bytes) out += "null";
  else if (binary) append_json_string(out, base64(*bytes));
  else append_json_string(out, as_string_view(*bytes));
}

void append_json(std::string& out, const TopicPartition& partition, const RecordView& record) {
  out += "{\"topic\":";
  append_json_string(out, partition.topic);
  fmt::format_to(std::back_inserter(out), ",\"partition\":{},\"offset\":{},\"timestamp_ms\":{},",
                 partition.partition, record.offset, record.timestamp_ms);
  append_field(out, "key", record.key);
  out += ',';
  append_field(out, "value", record.value);
  out += ",\"headers\":[";
  for (std::size_t i = 0; i < record.headers.size(); ++i) {
    out += i > 0 ? ",{" : "{";
    append_field(out, "key", as_bytes(record.headers[i].key));
    out += ',';
    append_field(out, "value", record.headers[i].value);
    out += '}';
  }
  out += "]}";
}

}  // namespace

RecordFormat record_format(std::string_view name) {
  if (name == "json") return RecordFormat::kJson;
  return name == "raw" ? RecordFormat::kRaw : RecordFormat::kText;
}

void append_record(std::string& out, RecordFormat format, const TopicPartition& partition, const RecordView& record) {
  switch (format) {
    case RecordFormat::kText: append_text(out, partition, record); break;
    case RecordFormat::kJson: append_json(out, partition, record); break;
    case RecordFormat::kRaw:
      if (record.value) out += as_string_view(*record.value);
      break;
  }
  out += '\n';
}

}  // namespace tributary
