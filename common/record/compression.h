#pragma once
// The codecs of a record batch, bounded on the way back: a batch may come from anyone.

#include <memory>
#include <optional>
#include <string_view>

#include "common/base/result.h"
#include "common/bytes/bytes.h"

namespace tributary {

/// The numbers are those of the attributes' bits 0 to 2.
enum class Compression : std::uint8_t { kNone = 0, kGzip = 1, kSnappy = 2, kLz4 = 3, kZstd = 4 };

/// "none", "gzip", "snappy", "lz4", "zstd", as in Kafka's `compression.type`.
[[nodiscard]] std::string_view name_of(Compression codec);
/// The other way; nothing for an unknown name.
[[nodiscard]] std::optional<Compression> parse_compression(std::string_view name);

/// Compresses with contexts that it keeps and uses again (zstd: below one MiB at the default level,
/// whatever the batch's size). One thread at a time.
class Compressor {
 public:
  Compressor();
  Compressor(Compressor&&) noexcept;
  Compressor& operator=(Compressor&&) noexcept;
  ~Compressor();

  /// Appends the compressed `input` to `out`. `level` has the codec's own meaning (gzip 1..9,
  /// lz4 0..12, zstd -131072..22; out of range is clamped; snappy and none have none); nothing = the
  /// codec's default. kIo only if memory runs out inside the codec. `out` is unchanged on error.
  /// gzip writes RFC 1952, lz4 the frame format (independent 64 KiB blocks, no content size: all that
  /// Kafka's Java client reads), snappy a raw block (which every client reads).
  [[nodiscard]] Result<> compress(Compression codec, std::optional<int> level, ByteView input,
                                  Bytes& out);

 private:
  struct Contexts;
  std::unique_ptr<Contexts> contexts_;
};

/// Decompresses into one buffer that it keeps and uses again. One thread at a time.
class Decompressor {
 public:
  Decompressor();
  Decompressor(Decompressor&&) noexcept;
  Decompressor& operator=(Decompressor&&) noexcept;
  ~Decompressor();

  /// The plain bytes; valid until the next call or the end of this object (kNone: `input` itself).
  /// kCorrupt for garbage and truncation, kTooLarge as soon as there would be more than `bytes_max`.
  /// Never holds more than `bytes_max` (and a constant) however large `input` claims to be.
  /// Reads gzip and zlib streams, snappy raw and with xerial's framing ("\x82SNAPPY\0", as the Java
  /// client and kafkajs write), lz4 frames, zstd frames (one or several).
  [[nodiscard]] Result<ByteView> decompress(Compression codec, ByteView input, std::size_t bytes_max);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tributary
