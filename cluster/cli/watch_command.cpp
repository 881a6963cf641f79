#include "cluster/cli/watch_command.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <charconv>
#include <cerrno>
#include <map>

#include "cluster/cli/consume_command.h"
#include "cluster/cli/latency_window.h"
#include "cluster/cli/record_printer.h"
#include "cluster/cli/start_text.h"
#include "cluster/cli/text.h"
#include "cluster/cli/watch_view.h"
#include "cluster/client/consumer.h"
#include "common/config/settings.h"
#include "common/telemetry/scrape.h"

namespace tributary {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kLastReadings = 5;
constexpr std::size_t kHistorySeconds = 60;
constexpr std::size_t kShownBytesMax = 200;  // of a payload
constexpr Duration kPoll = 100ms;
constexpr int kQuietTicks = 2;               // seconds without news that count as settled

/// The reading's own time of publication ("ts", milliseconds since 1970), else the record's timestamp.
WallMs published_ms(const RecordView& record) {
  if (!record.value) return record.timestamp_ms;
  const auto text = as_string_view(*record.value);
  constexpr std::string_view kField = "\"ts\":";
  const auto at = text.find(kField);
  WallMs ts = 0;
  if (at == std::string_view::npos) return record.timestamp_ms;
  const char* begin = text.data() + at + kField.size();
  const auto parsed = std::from_chars(begin, text.data() + text.size(), ts);
  return parsed.ec == std::errc{} ? ts : record.timestamp_ms;
}

bool process_is_there(int pid) { return ::kill(pid, 0) == 0 || errno == EPERM; }

std::size_t terminal_columns() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20 ? size.ws_col : 100;
}

class Watch {
 public:
  Watch(ClusterClient& client, const ClusterFlags& cluster, const WatchFlags& flags, const CommandIo& io)
      : client_(client), cluster_(cluster), flags_(flags), io_(io), consumer_(client, options()),
        redraw_(!flags.plain && ::isatty(STDOUT_FILENO) == 1) {
    frame_.topic = flags.topic;
    frame_.cluster = cluster.url;
    frame_.gateway_expected = !flags.gateway.host.empty();
  }

  Result<bool> run();

 private:
  ConsumerOptions options() {
    ConsumerOptions options;
    options.on_out_of_range = OnOutOfRange::kEarliest;
    options.unavailable_max = Duration::zero();  // a broker that restarts is waited for
    options.on_trouble = [this](const Error& error) { frame_.trouble = error.message; };
    return options;
  }
  Result<> assign_when_there();
  Result<> consume();
  void note(const RecordView& record);
  void tick();
  void read_gateway();
  void read_positions();
  [[nodiscard]] bool source_ended() const;
  [[nodiscard]] bool settled() const;
  Result<> show();
  Result<> show_summary();

  ClusterClient& client_;
  const ClusterFlags& cluster_;
  const WatchFlags& flags_;
  const CommandIo& io_;
  Consumer consumer_;
  const bool redraw_;
  Decompressor decompressor_;
  WatchFrame frame_;
  LatencyWindow latencies_;
  const MonoTime begin_ = system_clock().mono_now();
  std::map<TopicPartition, Offset> first_;   // where each partition was joined
  std::optional<std::int64_t> in_before_;    // the gateway's counter at the last tick; it restarts with it
  std::optional<MonoTime> source_ended_at_;
  std::int64_t stored_before_ = 0, consumed_before_ = 0;
  int quiet_ticks_ = 0;
  std::size_t lines_shown_ = 0;
};

Result<> Watch::assign_when_there() {
  if (!first_.empty()) return {};
  const auto partitions = partitions_of(client_, flags_.topic, -1, deadline_in(cluster_.timeout));
  if (!partitions && (partitions.error().code == Errc::kNotFound || partitions.error().code == Errc::kUnavailable)) {
    frame_.trouble = "waiting: " + partitions.error().message;
    (void)io_.stop.wait_for(kPoll);
    return {};
  }
  if (!partitions) return tl::unexpected<Error>(partitions.error());
  ASSIGN_OR_RETURN(const auto start, parse_start(flags_.from));
  std::vector<std::pair<TopicPartition, StartAt>> starts;
  for (const auto& partition : *partitions) starts.emplace_back(partition, start);
  ASSIGN_OR_RETURN(const auto offsets, resolve_offsets(client_, starts, deadline_in(cluster_.timeout)));
  for (std::size_t i = 0; i < partitions->size(); ++i) {
    first_.emplace((*partitions)[i], offsets[i]);
    consumer_.assign((*partitions)[i], offsets[i]);
  }
  frame_.trouble.clear();
  return {};
}

void Watch::note(const RecordView& record) {
  const auto now_ms = system_clock().wall_now_ms();
  ++frame_.consumed.total;
  latencies_.add(now_ms - published_ms(record));
}

Result<> Watch::consume() {
  if (first_.empty()) return {};
  ASSIGN_OR_RETURN(const auto batches, consumer_.poll(kPoll));
  if (!batches.empty()) frame_.trouble.clear();
  for (const auto& batch : batches) {
    RETURN_IF_ERROR(for_each_record(batch, decompressor_, kPrintedBatchBytesMax, [&](const RecordView& record) {
      note(record);
      const bool last_of_batch = record.offset == batch.header.last_offset();
      if (!last_of_batch) return true;
      const auto value = record.value.value_or(ByteView{});
      constexpr std::size_t kDateLength = 11;  // "2026-07-01T"; a record without a time has "-"
      const auto time = format_time(record.timestamp_ms);
      auto line = (time.size() > kDateLength ? time.substr(kDateLength, 12) : time) + "  ";
      append_printable(line, value.first(std::min(value.size(), kShownBytesMax)));
      frame_.last_readings.push_back(std::move(line));
      if (frame_.last_readings.size() > kLastReadings) frame_.last_readings.pop_front();
      return true;
    }));
  }
  return {};
}

void Watch::read_gateway() {
  if (!frame_.gateway_expected) return;
  const auto snapshot = scrape_metrics(flags_.gateway.host, flags_.gateway.port, 500ms);
  frame_.gateway.reset();
  if (!snapshot) return;
  const auto value = [&](std::string_view name) {
    return static_cast<std::int64_t>(snapshot->value(fmt::format("tributary_gateway_{}", name)).value_or(0));
  };
  frame_.gateway = WatchFrame::GatewayBacklog{
      value("intake_readings"), value("unacked_batches"), value("buffer_bytes"),
      snapshot->value("tributary_gateway_buffer_oldest_age_seconds").value_or(0)};
  const auto counter = value("readings_total");
  if (!in_before_) in_before_ = flags_.from == "earliest" ? 0 : counter;
  if (!frame_.in) frame_.in = Flow{};
  // A counter that has gone back belongs to a new process: all of it is new.
  const auto added = counter < *in_before_ ? counter : counter - *in_before_;
  frame_.in->per_second = added;
  frame_.in->total += added;
  in_before_ = counter;
}

void Watch::read_positions() {
  if (first_.empty()) return;
  std::int64_t stored = 0, lag = 0;
  for (const auto& [partition, first] : first_) {
    const auto end = std::max(consumer_.high_watermark(partition).value_or(first), consumer_.position(partition));
    stored += end - first;
    lag += end - consumer_.position(partition);
  }
  frame_.consumer_lag = lag;
  frame_.stored = Flow{stored - std::exchange(stored_before_, stored), stored};
}

void Watch::tick() {
  read_gateway();
  read_positions();
  frame_.consumed.per_second = frame_.consumed.total - std::exchange(consumed_before_, frame_.consumed.total);
  frame_.history.push_back(frame_.consumed.per_second);
  if (frame_.history.size() > kHistorySeconds) frame_.history.pop_front();
  frame_.p50_ms = latencies_.recent(0.5);
  frame_.p99_ms = latencies_.recent(0.99);
  frame_.max_ms = latencies_.recent(1);
  latencies_.next_second();
  frame_.seconds = std::chrono::round<std::chrono::seconds>(system_clock().mono_now() - begin_).count();
  const bool quiet = frame_.consumed.per_second == 0 && frame_.consumer_lag == 0 &&
                     (!frame_.gateway_expected || (frame_.gateway && frame_.gateway->empty()));
  quiet_ticks_ = quiet ? quiet_ticks_ + 1 : 0;
}

bool Watch::source_ended() const {
  if (flags_.pid > 0) return !process_is_there(flags_.pid);
  return flags_.run_for > Duration::zero() && system_clock().mono_now() - begin_ >= flags_.run_for;
}

bool Watch::settled() const { return quiet_ticks_ >= kQuietTicks; }

Result<> Watch::show() {
  if (!redraw_) {
    RETURN_IF_ERROR(io_.output.write(render_line(frame_) + "\n"));
    return io_.output.flush();
  }
  std::string text = lines_shown_ == 0 ? "\x1b[?25l" : fmt::format("\x1b[{}A\r", lines_shown_);
  const auto lines = render_screen(frame_, terminal_columns());
  for (std::size_t i = 0; i < lines.size(); ++i)
    text += i == 0 ? fmt::format("\x1b[1m{}\x1b[0m\x1b[K\n", lines[i]) : lines[i] + "\x1b[K\n";
  text += "\x1b[J";
  lines_shown_ = lines.size();
  RETURN_IF_ERROR(io_.output.write(text));
  return io_.output.flush();
}

Result<> Watch::show_summary() {
  tick();
  frame_.p50_ms = latencies_.overall(0.5);
  frame_.p99_ms = latencies_.overall(0.99);
  frame_.max_ms = latencies_.overall(1);
  RETURN_IF_ERROR(io_.output.write((redraw_ ? "\x1b[?25h" : "") + render_summary(frame_)));
  return io_.output.flush();
}

Result<bool> Watch::run() {
  auto next_tick = begin_ + Duration(1s);
  bool settled_in_time = true;
  Result<> result;
  while (!io_.stop.requested()) {
    if (result = assign_when_there(); !result) break;
    if (result = consume(); !result) break;
    const auto now = system_clock().mono_now();
    if (now < next_tick) continue;
    next_tick = std::max(next_tick + Duration(1s), now);
    tick();
    if (result = show(); !result) break;
    if (!source_ended_at_ && source_ended()) source_ended_at_ = now;
    if (!source_ended_at_) continue;
    settled_in_time = settled();
    if (settled_in_time || now - *source_ended_at_ >= flags_.settle) break;
  }
  const auto summary = show_summary();
  RETURN_IF_ERROR(result);
  RETURN_IF_ERROR(summary);
  if (!settled_in_time) io_.say(fmt::format("not settled after {}", format_duration(flags_.settle)));
  return settled_in_time;
}

}  // namespace

void declare_watch_command(Settings& program, WatchFlags& flags) {
  auto& watch = program.command(
      "watch", "Shows a topic's stream live: readings per second, latency, backlog, the last readings. Redraws in place "
               "on a terminal, else prints a line a second. Ends with a summary");
  watch.flag_only("--topic,-t", flags.topic, "The topic; waited for if it is not there yet").placeholder("TOPIC").required();
  watch.flag_only("--from", flags.from, "Where to begin: earliest, latest, an offset, a time").placeholder("START")
      .check([](const std::string& text) -> Result<> {
        RETURN_IF_ERROR(parse_start(text));
        return {};
      });
  watch.flag_only("--gateway", flags.gateway, "A gateway's HTTP listener: shows also what it takes in, and its backlog");
  watch.flag_only("--for", flags.run_for, "Ends after so long, once the stream has settled").default_text("until stopped");
  watch.flag_only("--pid", flags.pid, "Ends after this process has, once the stream has settled").placeholder("PID")
      .default_text("none").range(0, INT32_MAX);
  watch.flag_only("--settle", flags.settle, "How long at most to wait for backlog and lag to become 0; exit code 1 if they do not")
      .range("0", "1h");
  watch.flag_only("--plain", flags.plain, "A line a second, also on a terminal");
  watch.example("tributary watch --topic readings --gateway 127.0.0.1:9095");
}

Result<bool> watch_command(const ClusterFlags& cluster, const WatchFlags& flags, const CommandIo& io) {
  ASSIGN_OR_RETURN(const auto client, connect_for(cluster));
  return Watch(*client, cluster, flags, io).run();
}

}  // namespace tributary
