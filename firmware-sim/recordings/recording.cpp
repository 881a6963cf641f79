#include "firmware-sim/recordings/recording.h"

#include <fmt/format.h>
#include <simdjson.h>

#include "firmware-sim/recordings/csv.h"
#include "firmware-sim/recordings/line_reader.h"

namespace tributary {
namespace {

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r") == std::string_view::npos; }

RecordingFormat format_of(std::string_view path, std::string_view first_line) {
  for (const std::string_view ending : {".ndjson", ".jsonl", ".json"})
    if (path.ends_with(ending)) return RecordingFormat::kNdjson;
  if (path.ends_with(".csv")) return RecordingFormat::kCsv;
  const auto first = first_line.find_first_not_of(" \t");
  return first != std::string_view::npos && first_line[first] == '{' ? RecordingFormat::kNdjson
                                                                     : RecordingFormat::kCsv;
}

}  // namespace

struct Recording::Impl {
  std::string path;
  RecordingOptions options;
  LineReader lines;
  RecordingFormat format = RecordingFormat::kCsv;
  std::vector<std::string> keys;  // CSV
  std::int64_t malformed = 0, passes = 0;
  bool any_in_pass = false;  // a usable record since the start of the file
  std::string first_record;  // read by open(), not yet given out

  std::string line;
  CsvParser csv;
  simdjson::dom::parser json;

  Impl(std::string p, RecordingOptions o, LineReader l)
      : path(std::move(p)), options(std::move(o)), lines(std::move(l)), json(options.record_bytes_max) {}

  void say_malformed(std::int64_t line_number, std::string_view what);
  Result<> start();
  Result<bool> next_row(std::string_view role);
  Result<bool> append_row(std::string& out);
  Result<bool> append_line(std::string& out);
  Result<> back_to_start();
};

void Recording::Impl::say_malformed(std::int64_t line_number, std::string_view what) {
  if (passes > 0) return;  // said and counted already
  if (++malformed <= options.malformed_said_max)
    options.on_malformed(fmt::format("{}:{}: {}: skipped", path, line_number, what));
}

/// Finds the format from the first line that is not blank, and reads a CSV's header.
Result<> Recording::Impl::start() {
  LineReader::Line got{};
  do {
    ASSIGN_OR_RETURN(got, lines.next(line));
  } while (got == LineReader::Line::kWhole && is_blank(line));
  if (got == LineReader::Line::kEnd)
    return fail(Errc::kInvalidArgument, fmt::format("recording {}: empty", path));
  format = format_of(path, line);
  RETURN_IF_ERROR(lines.rewind());
  if (format == RecordingFormat::kNdjson) return {};
  ASSIGN_OR_RETURN(const bool header, next_row("header"));
  if (!header || malformed > 0)
    return fail(Errc::kInvalidArgument,
                fmt::format("recording {}: its first line is neither a CSV header nor a JSON object", path));
  keys = csv_keys(csv.cells());
  return {};
}

/// The next well-formed row, in csv.cells(); false at the end of the file.
Result<bool> Recording::Impl::next_row(std::string_view role) {
  csv.reset();
  std::int64_t first_line = 0;
  for (;;) {
    const std::string_view line_end = lines.ended_with_crlf() ? "\r\n" : "\n";
    ASSIGN_OR_RETURN(const auto got, lines.next(line));
    if (got == LineReader::Line::kEnd) {
      if (csv.inside_record()) say_malformed(first_line, "a quoted cell that never ends");
      return false;
    }
    if (!csv.inside_record()) {
      first_line = lines.line_number();
      if (got == LineReader::Line::kWhole && is_blank(line)) continue;
    }
    if (got == LineReader::Line::kTooLong || csv.bytes() + line.size() > options.record_bytes_max) {
      say_malformed(first_line, fmt::format("{} of over {} bytes", role, options.record_bytes_max));
      csv.reset();
      continue;
    }
    if (!simdjson::validate_utf8(line.data(), line.size())) {
      say_malformed(lines.line_number(), "not UTF-8");
      csv.reset();
      continue;
    }
    const auto fed = csv.feed(line, csv.inside_record() ? line_end : "");
    if (!fed) say_malformed(lines.line_number(), fed.error().message);
    else if (*fed == CsvParser::State::kNeedsLine) continue;
    else if (!keys.empty() && csv.cells().size() != keys.size())
      say_malformed(first_line, fmt::format("{} cells, the header has {}", csv.cells().size(), keys.size()));
    else return true;
  }
}

Result<bool> Recording::Impl::append_row(std::string& out) {
  ASSIGN_OR_RETURN(const bool row, next_row("row"));
  if (row) append_csv_object(keys, csv.cells(), out);
  return row;
}

Result<bool> Recording::Impl::append_line(std::string& out) {
  for (;;) {
    ASSIGN_OR_RETURN(const auto got, lines.next(line));
    if (got == LineReader::Line::kEnd) return false;
    if (got == LineReader::Line::kTooLong) {
      say_malformed(lines.line_number(), fmt::format("line of over {} bytes", options.record_bytes_max));
      continue;
    }
    if (is_blank(line)) continue;
    // The whole line is parsed: a reading's payload must be JSON, whatever the recording holds.
    const auto parsed = json.parse(line);
    if (parsed.error() != simdjson::SUCCESS) {
      say_malformed(lines.line_number(), simdjson::error_message(parsed.error()));
    } else if (!parsed.is_object()) {
      say_malformed(lines.line_number(), "not a JSON object");
    } else {
      const auto first = line.find_first_not_of(" \t");
      out.append(line, first, line.find_last_not_of(" \t\r") - first + 1);
      return true;
    }
  }
}

Result<> Recording::Impl::back_to_start() {
  if (!any_in_pass)
    return fail(Errc::kInvalidArgument,
                fmt::format("recording {}: no usable record ({} malformed)", path, malformed));
  ++passes;
  any_in_pass = false;
  RETURN_IF_ERROR(lines.rewind());
  if (format == RecordingFormat::kNdjson) return {};
  const auto expected = std::exchange(keys, {});
  ASSIGN_OR_RETURN(const bool header, next_row("header"));
  if (!header || csv_keys(csv.cells()) != expected)
    return fail(Errc::kCorrupt, fmt::format("recording {}: its header changed while it was replayed", path));
  keys = expected;
  return {};
}

Recording::Recording(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Recording::~Recording() = default;

Result<std::unique_ptr<Recording>> Recording::open(const std::string& path, RecordingOptions options) {
  ASSIGN_OR_RETURN(auto lines, LineReader::open(path, options.record_bytes_max));
  auto recording = std::unique_ptr<Recording>(
      new Recording(std::make_unique<Impl>(path, std::move(options), std::move(lines))));
  auto& impl = *recording->impl_;
  RETURN_IF_ERROR(impl.start());
  // One record now, so that a file without any is refused before devices connect.
  std::string first;
  RETURN_IF_ERROR(recording->append_next(first));
  impl.first_record = std::move(first);
  return recording;
}

Result<> Recording::append_next(std::string& out) {
  if (!impl_->first_record.empty()) {
    out += std::exchange(impl_->first_record, {});
    return {};
  }
  const auto append = [&] {
    return impl_->format == RecordingFormat::kCsv ? impl_->append_row(out) : impl_->append_line(out);
  };
  ASSIGN_OR_RETURN(bool appended, append());
  if (!appended) {
    RETURN_IF_ERROR(impl_->back_to_start());
    ASSIGN_OR_RETURN(appended, append());
    if (!appended)
      return fail(Errc::kCorrupt, fmt::format("recording {}: it was emptied while it was replayed", impl_->path));
  }
  impl_->any_in_pass = true;
  return {};
}

RecordingFormat Recording::format() const { return impl_->format; }
std::int64_t Recording::malformed() const { return impl_->malformed; }
std::int64_t Recording::passes() const { return impl_->passes; }

}  // namespace tributary
