#include "tests/compat/frame_recorder.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "common/bytes/bytes.h"
#include "common/bytes/reader.h"
#include "common/protocol/api.h"
#include "tests/compat/fetched_program.h"

namespace tributary::test {
namespace {

constexpr std::size_t kLengthBytes = 4;

std::string frame_hex(std::string_view bytes) {
  std::string hex;
  for (const char byte : bytes) hex += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return hex;
}

}  // namespace

void FrameRecorder::take(std::uint64_t connection, std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  auto& partial = partial_[connection];
  partial += bytes;
  while (partial.size() >= kLengthBytes) {
    ByteReader reader(as_bytes(partial));
    const auto end = kLengthBytes + static_cast<std::size_t>(reader.i32());
    if (partial.size() < end) return;
    take_frame(std::string_view(partial).substr(kLengthBytes, end - kLengthBytes));
    partial.erase(0, end);
  }
}

void FrameRecorder::take_frame(std::string_view frame) {
  ByteReader reader(as_bytes(frame));
  const auto api = reader.i16(), version = reader.i16();
  (void)reader.i32();  // the correlation id
  const auto id_length = std::max<std::int16_t>(0, reader.i16());
  const auto client_id = frame.substr(std::min(reader.position(), frame.size()), static_cast<std::size_t>(id_length));
  if (!client_id.starts_with(client_ids_)) return;
  auto& kept = kept_[{api, version}];
  if (kept.shortest.empty() || frame.size() < kept.shortest.size()) kept.shortest = frame;
  if (frame.size() > kKeptBytesMax || kept.frames.size() == kKeptMax) return;
  const auto same_length = [&](const auto& other) { return other.size() == frame.size(); };
  if (std::ranges::none_of(kept.frames, same_length)) kept.frames.emplace_back(frame);
}

std::string FrameRecorder::text() const {
  const std::lock_guard lock(mutex_);
  std::string lines;
  for (const auto& [key, kept] : kept_) {
    for (const auto& frame : kept.frames.empty() ? std::vector{kept.shortest} : kept.frames)
      lines += fmt::format("{}Request {} sent {}\n", static_cast<ApiKey>(key.first), key.second, frame_hex(frame));
  }
  return lines;
}

ClientRecording::ClientRecording(std::string name, Broker& broker, std::string client_ids)
    : name_(std::move(name)), folder_(env_or("TRIBUTARY_COMPAT_RECORD", "")), broker_port_(broker.kafka_port()),
      recorder_(std::move(client_ids)) {
  if (folder_.empty()) return;
  proxy_.emplace(broker_port_);
  proxy_->watch_clients([this](auto connection, auto bytes) { recorder_.take(connection, bytes); });
  broker.extra_args.insert(broker.extra_args.end(), {"--advertised-kafka-port", std::to_string(proxy_->port())});
}

ClientRecording::~ClientRecording() {
  if (!proxy_) return;
  std::filesystem::create_directories(folder_);
  std::ofstream(folder_ + "/" + name_ + ".txt") << recorder_.text();
}

std::string ClientRecording::address() const {
  return fmt::format("127.0.0.1:{}", proxy_ ? proxy_->port() : broker_port_);
}

}  // namespace tributary::test
