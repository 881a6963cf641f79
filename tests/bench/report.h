#pragma once
// What a benchmark found, beside the limit that was measured in the same run.

#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"

namespace tributary::bench {

/// The middle value; of an even number the mean of the middle two. Not of none.
[[nodiscard]] double median(std::vector<double> values);

enum class Want { kAtLeast, kAtMost, kBelow, kNothing };  // kNothing: shown beside the others

struct Row {
  std::string figure;          // "(a) gateway ingest, QoS 1, 200 B"
  std::string measured;        // "24,513 /s"
  std::string limit;           // "mosquitto_sub 38,020 /s"; empty: the target is absolute
  std::vector<double> values;  // one per run, of what the target is about
  Want want = Want::kAtLeast;
  double target = 0;
  std::string unit;            // of values and target
  std::string note;

  [[nodiscard]] double value() const { return median(values); }
  [[nodiscard]] bool ok() const;
};

/// A table for people: figure, measured, limit, the value with its spread, the target, ok or short.
[[nodiscard]] std::string table(const std::vector<Row>& rows);
/// The same for programs: an array of objects.
[[nodiscard]] std::string json(const std::vector<Row>& rows);

/// 24513.4 -> "24,513".
[[nodiscard]] std::string grouped(double number);

}  // namespace tributary::bench
