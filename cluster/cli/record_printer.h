#pragma once
// How `tributary consume` and `tributary log dump --records` write a record.

#include <string>
#include <string_view>

#include "common/base/ids.h"
#include "common/record/record_reader.h"

namespace tributary {

enum class RecordFormat {
  kText,  // 2026-07-01T12:00:00.123Z readings-0@1234 dev-0007 {"device":…}
  kJson,  // {"topic":"readings","partition":0,"offset":1234,"timestamp_ms":…,"key":"dev-0007","value":"…","headers":[…]}
  kRaw,   // the value's bytes and a newline
};

/// "text", "json", "raw".
[[nodiscard]] RecordFormat record_format(std::string_view name);

/// Of a batch, when it is unpacked to be printed.
inline constexpr std::size_t kPrintedBatchBytesMax = 256u << 20;

/// Appends one record, newline included. Text: a null key is "-", a null value "(null)", headers follow in
/// brackets. JSON: what is not UTF-8 stands under "key_base64", "value_base64".
void append_record(std::string& out, RecordFormat format, const TopicPartition& partition, const RecordView& record);

}  // namespace tributary
