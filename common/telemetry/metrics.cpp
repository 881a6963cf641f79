#include "common/telemetry/metrics.h"

#include <prometheus/check_names.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <sys/resource.h>

#include "common/base/check.h"
#include "common/env/clock.h"

namespace tributary {

Histogram::Histogram(std::vector<double> upper_bounds)
    : upper_bounds_(std::move(upper_bounds)),
      counts_(std::make_unique<std::atomic<std::uint64_t>[]>(upper_bounds_.size() + 1)) {
  CHECK(std::is_sorted(upper_bounds_.begin(), upper_bounds_.end()), "bucket bounds ascend");
}

void Histogram::observe(double value) {
  const auto bound = std::lower_bound(upper_bounds_.begin(), upper_bounds_.end(), value);
  counts_[static_cast<std::size_t>(bound - upper_bounds_.begin())].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

std::uint64_t Histogram::count() const {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i <= upper_bounds_.size(); ++i) total += bucket(i);
  return total;
}

double Histogram::quantile(double q) const {
  const auto total = count();
  if (total == 0 || upper_bounds_.empty()) return 0;
  const double rank = q * static_cast<double>(total);
  double below = 0;
  for (std::size_t i = 0; i < upper_bounds_.size(); ++i) {
    const auto here = static_cast<double>(bucket(i));
    if (here > 0 && below + here >= rank) {
      const double low = i == 0 ? std::min(0.0, upper_bounds_[0]) : upper_bounds_[i - 1];
      return low + (upper_bounds_[i] - low) * std::max(0.0, (rank - below) / here);
    }
    below += here;
  }
  return upper_bounds_.back();
}

std::vector<double> exponential_buckets(double first, double factor, int count) {
  std::vector<double> bounds;
  for (double bound = first; count > 0; --count, bound *= factor) bounds.push_back(bound);
  return bounds;
}

std::vector<double> latency_buckets_seconds() { return exponential_buckets(0.0001, 2, 18); }

namespace {

struct Series {
  MetricLabels labels;
  // Exactly one is set.
  std::unique_ptr<Counter> counter;
  std::unique_ptr<Gauge> gauge;
  std::unique_ptr<Histogram> histogram;
  std::function<double()> read;
};

struct Family {
  std::string name;
  std::string help;
  prometheus::MetricType type;
  std::deque<Series> series;
};

prometheus::ClientMetric collect(const Series& series, prometheus::MetricType type) {
  prometheus::ClientMetric metric;
  for (const auto& [name, value] : series.labels) metric.label.push_back({name, value});
  if (series.histogram) {
    std::uint64_t cumulative = 0;
    const auto& bounds = series.histogram->upper_bounds();
    for (std::size_t i = 0; i <= bounds.size(); ++i) {
      cumulative += series.histogram->bucket(i);
      metric.histogram.bucket.push_back({cumulative, i < bounds.size() ? bounds[i] : HUGE_VAL});
    }
    metric.histogram.sample_count = cumulative;
    metric.histogram.sample_sum = series.histogram->sum();
    return metric;
  }
  const double value = series.counter ? static_cast<double>(series.counter->value())
                       : series.gauge ? series.gauge->value()
                                      : series.read();
  if (type == prometheus::MetricType::Counter) metric.counter.value = value;
  else metric.gauge.value = value;
  return metric;
}

double resident_bytes() {
  long pages_total = 0, pages_resident = 0;
  if (auto* file = std::fopen("/proc/self/statm", "re")) {
    if (std::fscanf(file, "%ld %ld", &pages_total, &pages_resident) != 2) pages_resident = 0;
    std::fclose(file);
  }
  return static_cast<double>(pages_resident) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec); };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double open_descriptors() {
  std::error_code error;
  double count = -1;  // without the one that lists
  for (std::filesystem::directory_iterator entry("/proc/self/fd", error), end; !error && entry != end;
       entry.increment(error))
    ++count;
  return std::max(count, 0.0);
}

}  // namespace

struct MetricsRegistry::Impl {
  mutable std::mutex mutex;
  std::deque<Family> families;  // guarded by mutex; series are only ever added

  /// The series, new and empty if there was none.
  Series& series(std::string_view name, std::string_view help, prometheus::MetricType type,
                 const MetricLabels& labels) {
    Family* family = nullptr;
    for (auto& known : families)
      if (known.name == name) family = &known;
    if (family == nullptr) {
      CHECK(prometheus::CheckMetricName(std::string(name)), "metric name {}", name);
      family = &families.emplace_back(Family{std::string(name), std::string(help), type, {}});
    }
    CHECK(family->type == type, "metric {} has two kinds", name);
    for (auto& known : family->series)
      if (known.labels == labels) return known;
    for (const auto& [label, value] : labels)
      CHECK(prometheus::CheckLabelName(label), "label {} of {}", label, name);
    family->series.emplace_back().labels = labels;
    return family->series.back();
  }
};

MetricsRegistry::MetricsRegistry() : impl_(std::make_unique<Impl>()) {}
MetricsRegistry::~MetricsRegistry() = default;

Counter& MetricsRegistry::counter(std::string_view name, std::string_view help, const MetricLabels& labels) {
  const std::lock_guard lock(impl_->mutex);
  auto& series = impl_->series(name, help, prometheus::MetricType::Counter, labels);
  CHECK(!series.read, "metric {} is a callback", name);
  if (!series.counter) series.counter = std::make_unique<Counter>();
  return *series.counter;
}

Gauge& MetricsRegistry::gauge(std::string_view name, std::string_view help, const MetricLabels& labels) {
  const std::lock_guard lock(impl_->mutex);
  auto& series = impl_->series(name, help, prometheus::MetricType::Gauge, labels);
  CHECK(!series.read, "metric {} is a callback", name);
  if (!series.gauge) series.gauge = std::make_unique<Gauge>();
  return *series.gauge;
}

Histogram& MetricsRegistry::histogram(std::string_view name, std::string_view help,
                                      std::vector<double> upper_bounds, const MetricLabels& labels) {
  const std::lock_guard lock(impl_->mutex);
  auto& series = impl_->series(name, help, prometheus::MetricType::Histogram, labels);
  if (!series.histogram) series.histogram = std::make_unique<Histogram>(upper_bounds);
  CHECK(series.histogram->upper_bounds() == upper_bounds, "histogram {} has two sets of buckets", name);
  return *series.histogram;
}

void MetricsRegistry::callback(std::string_view name, std::string_view help, std::function<double()> read,
                               const MetricLabels& labels) {
  const std::lock_guard lock(impl_->mutex);
  const auto type = name.ends_with("_total") ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
  auto& series = impl_->series(name, help, type, labels);
  CHECK(!series.counter && !series.gauge && !series.read, "metric {} is there already", name);
  series.read = std::move(read);
}

void MetricsRegistry::add_process_metrics(std::string_view program, std::string_view version) {
  callback("process_resident_memory_bytes", "Resident memory size in bytes", resident_bytes);
  callback("process_cpu_seconds_total", "User and system CPU time spent in seconds", cpu_seconds);
  callback("process_open_fds", "Open file descriptors", open_descriptors);
  gauge("process_start_time_seconds", "Start time since the Unix epoch in seconds")
      .set(static_cast<double>(system_clock().wall_now_ms()) / 1000);
  gauge("tributary_build_info", "Always 1; the labels say which program runs",
        {{"program", std::string(program)}, {"version", std::string(version)}})
      .set(1);
}

std::string MetricsRegistry::serialize() const {
  // Callbacks run outside of the lock: they may look up metrics.
  std::vector<std::pair<const Family*, std::vector<const Series*>>> found;
  {
    const std::lock_guard lock(impl_->mutex);
    for (const auto& family : impl_->families) {
      auto& [to, series] = found.emplace_back(&family, std::vector<const Series*>{});
      for (const auto& one : family.series) series.push_back(&one);
    }
  }
  std::vector<prometheus::MetricFamily> families;
  for (const auto& [family, series] : found) {
    auto& out = families.emplace_back();
    out.name = family->name;
    out.help = family->help;
    out.type = family->type;
    for (const auto* one : series) out.metric.push_back(collect(*one, family->type));
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace tributary
