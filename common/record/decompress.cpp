#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <cstring>

#include "common/bytes/reader.h"
#include "common/record/compression.h"

namespace tributary {
namespace {

tl::unexpected<Error> corrupt_frame(std::string_view codec, std::string_view what) {
  return fail(Errc::kCorrupt, fmt::format("{} data: {}", codec, what));
}
tl::unexpected<Error> too_large(std::string_view codec, std::size_t bytes_max) {
  return fail(Errc::kTooLarge,
              fmt::format("{} data decompresses to more than {} bytes", codec, bytes_max));
}

/// Raw memory that grows by doubling up to a limit. Not zeroed: pages that no codec has written to are
/// never resident.
class GrowingBuffer {
 public:
  /// A larger one than this is given back before the next use.
  static constexpr std::size_t kKeptBytesMax = 4u << 20;

  /// Empties it; `bytes_max` is how far it may grow now, `hint` how much will probably be needed.
  void start(std::size_t bytes_max, std::size_t hint) {
    size_ = 0;
    bytes_max_ = bytes_max;
    if (capacity_ > kKeptBytesMax) {
      data_.reset();
      capacity_ = 0;
    }
    const auto wanted = std::min(bytes_max, std::max<std::size_t>(hint, 4096));
    if (capacity_ < wanted) reallocate(wanted);
  }
  [[nodiscard]] std::uint8_t* free_data() { return data_.get() + size_; }
  [[nodiscard]] std::size_t free_size() const { return std::min(capacity_, bytes_max_) - size_; }
  void commit(std::size_t count) { size_ += count; }
  /// False at the limit.
  bool grow() {
    if (capacity_ >= bytes_max_) return false;
    reallocate(std::min(bytes_max_, capacity_ * 2));
    return true;
  }
  [[nodiscard]] ByteView view() const { return {data_.get(), size_}; }

 private:
  void reallocate(std::size_t capacity) {
    auto larger = std::make_unique_for_overwrite<std::uint8_t[]>(capacity);
    if (size_ > 0) std::memcpy(larger.get(), data_.get(), size_);
    data_ = std::move(larger);
    capacity_ = capacity;
  }

  std::unique_ptr<std::uint8_t[]> data_;
  std::size_t capacity_ = 0, size_ = 0, bytes_max_ = 0;
};

// A full buffer does not yet mean that there is more: codecs are asked to go on with one byte of room.
struct Overflow {
  std::uint8_t byte = 0;
};

Result<> inflate_all(z_stream& stream, std::size_t bytes_max, GrowingBuffer& out) {
  Overflow overflow;
  for (;;) {
    const bool full = out.free_size() == 0 && !out.grow();
    const auto room = full ? 1 : std::min<std::size_t>(out.free_size(), 1u << 30);
    stream.next_out = full ? &overflow.byte : out.free_data();
    stream.avail_out = static_cast<uInt>(room);
    const int status = inflate(&stream, Z_NO_FLUSH);
    const auto produced = room - stream.avail_out;
    if (full && produced > 0) return too_large("gzip", bytes_max);
    if (!full) out.commit(produced);
    if (status == Z_STREAM_END) {
      // RFC 1952 allows several members, one after the other.
      if (stream.avail_in == 0) return {};
      if (inflateReset(&stream) != Z_OK) return corrupt_frame("gzip", "cannot start the next member");
      continue;
    }
    if (status == Z_BUF_ERROR && stream.avail_in == 0 && stream.avail_out > 0)
      return corrupt_frame("gzip", "truncated");
    if (status != Z_OK && status != Z_BUF_ERROR)
      return corrupt_frame("gzip", stream.msg != nullptr ? stream.msg : zError(status));
    if (status == Z_OK && produced == 0 && stream.avail_in == 0) return corrupt_frame("gzip", "truncated");
  }
}

Result<ByteView> decompress_gzip(ByteView input, std::size_t bytes_max, GrowingBuffer& out) {
  out.start(bytes_max, input.size() * 4);
  z_stream stream{};
  constexpr int kWindowBitsGzipOrZlib = 15 + 32;
  if (inflateInit2(&stream, kWindowBitsGzipOrZlib) != Z_OK)
    return fail(Errc::kIo, "gzip cannot decompress: no memory");
  stream.next_in = const_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  const auto status = inflate_all(stream, bytes_max, out);
  inflateEnd(&stream);
  RETURN_IF_ERROR(status);
  return out.view();
}

Result<> append_snappy_block(ByteView block, std::size_t bytes_max, GrowingBuffer& out) {
  const auto* const data = reinterpret_cast<const char*>(block.data());
  std::size_t size = 0;
  if (!snappy::GetUncompressedLength(data, block.size(), &size))
    return corrupt_frame("snappy", "no length in front of a block");
  if (size > bytes_max - out.view().size()) return too_large("snappy", bytes_max);
  // The densest element, a copy of 64 bytes, takes 3: a longer claim is a lie, and not allocated for.
  if (size > block.size() * 22) return corrupt_frame("snappy", "the claimed length is impossible");
  while (out.free_size() < size) {
    if (!out.grow()) return too_large("snappy", bytes_max);
  }
  if (!snappy::RawUncompress(data, block.size(), reinterpret_cast<char*>(out.free_data())))
    return corrupt_frame("snappy", "malformed block");
  out.commit(size);
  return {};
}

Result<ByteView> decompress_snappy(ByteView input, std::size_t bytes_max, GrowingBuffer& out) {
  // xerial's framing (snappy-java): magic, version, lowest compatible version, then blocks.
  static constexpr std::string_view kXerialMagic{"\x82SNAPPY\0", 8};
  constexpr std::size_t kXerialHeaderSize = 16;
  out.start(bytes_max, input.size() * 2);
  if (!as_string_view(input).starts_with(kXerialMagic)) {
    RETURN_IF_ERROR(append_snappy_block(input, bytes_max, out));
    return out.view();
  }
  if (input.size() < kXerialHeaderSize) return corrupt_frame("snappy", "truncated xerial header");
  ByteReader reader(input.subspan(kXerialHeaderSize));
  while (reader.remaining() > 0) {
    const auto size = reader.u32();
    const auto block = reader.bytes(size);
    if (!reader.ok()) return corrupt_frame("snappy", "truncated xerial block");
    RETURN_IF_ERROR(append_snappy_block(block, bytes_max, out));
  }
  return out.view();
}

Result<> lz4_all(LZ4F_dctx* context, ByteView input, std::size_t bytes_max, GrowingBuffer& out) {
  Overflow overflow;
  bool frame_ended = false;
  while (!input.empty() || !frame_ended) {
    const bool full = out.free_size() == 0 && !out.grow();
    std::size_t produced = full ? 1 : out.free_size(), consumed = input.size();
    const auto hint = LZ4F_decompress(context, full ? &overflow.byte : out.free_data(), &produced,
                                      input.data(), &consumed, nullptr);
    if (LZ4F_isError(hint)) return corrupt_frame("lz4", LZ4F_getErrorName(hint));
    if (full && produced > 0) return too_large("lz4", bytes_max);
    if (!full) out.commit(produced);
    input = input.subspan(consumed);
    frame_ended = hint == 0;
    if (consumed == 0 && produced == 0 && !frame_ended) return corrupt_frame("lz4", "truncated");
  }
  return {};
}

Result<ByteView> decompress_zstd(ZSTD_DCtx* context, ByteView input, std::size_t bytes_max,
                                 GrowingBuffer& out) {
  // In one call, and again from the start with a larger buffer: that needs no window buffer, so that
  // a header which claims a window of 128 MiB costs nothing.
  const auto claimed = ZSTD_getFrameContentSize(input.data(), input.size());
  if (claimed == ZSTD_CONTENTSIZE_ERROR) return corrupt_frame("zstd", "no frame");
  const std::size_t likely = std::max<std::size_t>(input.size() * 16, 65536);
  out.start(bytes_max, static_cast<std::size_t>(std::min<unsigned long long>(claimed, likely)));
  for (;;) {
    const auto size = ZSTD_decompressDCtx(context, out.free_data(), out.free_size(), input.data(),
                                          input.size());
    if (!ZSTD_isError(size)) {
      out.commit(size);
      return out.view();
    }
    if (ZSTD_getErrorCode(size) != ZSTD_error_dstSize_tooSmall)
      return corrupt_frame("zstd", ZSTD_getErrorName(size));
    if (!out.grow()) return too_large("zstd", bytes_max);
  }
}

}  // namespace

struct Decompressor::State {
  GrowingBuffer buffer;
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> zstd{nullptr, ZSTD_freeDCtx};
  std::unique_ptr<LZ4F_dctx, decltype(&LZ4F_freeDecompressionContext)> lz4{
      nullptr, LZ4F_freeDecompressionContext};

  Result<ByteView> decompress_lz4(ByteView input, std::size_t bytes_max) {
    if (!lz4) {
      LZ4F_dctx* created = nullptr;
      if (LZ4F_isError(LZ4F_createDecompressionContext(&created, LZ4F_VERSION)))
        return fail(Errc::kIo, "lz4 cannot decompress: no memory");
      lz4.reset(created);
    }
    buffer.start(bytes_max, input.size() * 4);
    const auto status = lz4_all(lz4.get(), input, bytes_max, buffer);
    if (!status) {
      LZ4F_resetDecompressionContext(lz4.get());
      return tl::unexpected<Error>(status.error());
    }
    return buffer.view();
  }
};

Decompressor::Decompressor() : state_(std::make_unique<State>()) {}
Decompressor::Decompressor(Decompressor&&) noexcept = default;
Decompressor& Decompressor::operator=(Decompressor&&) noexcept = default;
Decompressor::~Decompressor() = default;

Result<ByteView> Decompressor::decompress(Compression codec, ByteView input, std::size_t bytes_max) {
  if (input.size() >= (1ull << 31))  // zlib counts in 32 bits, and no batch is larger
    return fail(Errc::kTooLarge, fmt::format("{} compressed bytes", input.size()));
  switch (codec) {
    case Compression::kNone:
      if (input.size() > bytes_max) return too_large(name_of(codec), bytes_max);
      return input;
    case Compression::kGzip: return decompress_gzip(input, bytes_max, state_->buffer);
    case Compression::kSnappy: return decompress_snappy(input, bytes_max, state_->buffer);
    case Compression::kLz4: return state_->decompress_lz4(input, bytes_max);
    case Compression::kZstd:
      if (!state_->zstd) state_->zstd.reset(ZSTD_createDCtx());
      if (!state_->zstd) return fail(Errc::kIo, "zstd cannot decompress: no memory");
      return decompress_zstd(state_->zstd.get(), input, bytes_max, state_->buffer);
  }
  return fail(Errc::kUnsupported, fmt::format("codec {}", static_cast<int>(codec)));
}

}  // namespace tributary
