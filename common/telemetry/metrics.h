#pragma once
// Counters, gauges and histograms in Prometheus' text format. Updating one is a relaxed atomic
// operation: use them on hot paths; look them up (registry calls take a mutex) only at the start.
//
// Names follow Prometheus' rules: tributary_<part>_<thing>_<unit>, base units (seconds, bytes),
// counters end in _total. Labels must have few values: topic and partition, never a device.

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tributary {

class Counter {
 public:
  void inc(std::uint64_t by = 1) { value_.fetch_add(by, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

class Gauge {
 public:
  void set(double value) { value_.store(value, std::memory_order_relaxed); }
  void add(double by) { value_.fetch_add(by, std::memory_order_relaxed); }
  [[nodiscard]] double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

class Histogram {
 public:
  /// `upper_bounds` ascending, inclusive; a last bucket without bound is added.
  explicit Histogram(std::vector<double> upper_bounds);
  void observe(double value);
  [[nodiscard]] std::uint64_t count() const;
  [[nodiscard]] double sum() const { return sum_.load(std::memory_order_relaxed); }
  /// The q-quantile (0..1), interpolated inside its bucket as Prometheus' histogram_quantile does;
  /// 0 without observations.
  [[nodiscard]] double quantile(double q) const;

  [[nodiscard]] const std::vector<double>& upper_bounds() const { return upper_bounds_; }
  /// Observations in bucket `i` alone (not cumulative); i == upper_bounds().size() is the last one.
  [[nodiscard]] std::uint64_t bucket(std::size_t i) const {
    return counts_[i].load(std::memory_order_relaxed);
  }

 private:
  const std::vector<double> upper_bounds_;
  std::unique_ptr<std::atomic<std::uint64_t>[]> counts_;
  std::atomic<double> sum_{0};
};

/// 0.1 ms to about 10 s, factor 2: flushes, requests, end-to-end latency.
[[nodiscard]] std::vector<double> latency_buckets_seconds();
/// `count` bounds from `first`, each `factor` times the former.
[[nodiscard]] std::vector<double> exponential_buckets(double first, double factor, int count);

using MetricLabels = std::map<std::string, std::string>;

/// Owns the metrics. Thread-safe. References stay valid as long as the registry lives; the same name
/// and labels give the same object; one name has one kind, help and set of buckets (CHECK).
class MetricsRegistry {
 public:
  MetricsRegistry();
  ~MetricsRegistry();
  MetricsRegistry(const MetricsRegistry&) = delete;
  MetricsRegistry& operator=(const MetricsRegistry&) = delete;

  Counter& counter(std::string_view name, std::string_view help, const MetricLabels& labels = {});
  Gauge& gauge(std::string_view name, std::string_view help, const MetricLabels& labels = {});
  Histogram& histogram(std::string_view name, std::string_view help, std::vector<double> upper_bounds,
                       const MetricLabels& labels = {});

  /// A gauge (or, for a name that ends in _total, a counter) whose value `read` gives when somebody asks.
  /// `read` is called on the HTTP threads: it must be thread-safe, quick, and valid until the registry
  /// is destroyed or the HTTP server has stopped.
  void callback(std::string_view name, std::string_view help, std::function<double()> read,
                const MetricLabels& labels = {});

  /// process_resident_memory_bytes, process_cpu_seconds_total, process_open_fds,
  /// process_start_time_seconds, and tributary_build_info{program,version}.
  void add_process_metrics(std::string_view program, std::string_view version);

  /// Prometheus' text exposition format 0.0.4.
  [[nodiscard]] std::string serialize() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tributary
