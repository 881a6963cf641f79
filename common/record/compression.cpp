#include "common/record/compression.h"

#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "common/base/check.h"

namespace tributary {
namespace {
constexpr std::array<std::string_view, 5> kNames{"none", "gzip", "snappy", "lz4", "zstd"};

// zstd's tables grow with the level and the window. Batches are at most about 1 MiB, and a gateway
// has megabytes in all: these bounds cost little ratio on batches and keep the context near half a MiB.
constexpr int kZstdWindowLog = 17;
constexpr int kZstdTableLog = 15;

int clamped(std::optional<int> level, int otherwise, int low, int high) {
  return std::clamp(level.value_or(otherwise), low, high);
}

Result<> out_of_memory(std::string_view codec, std::string_view what) {
  return fail(Errc::kIo, fmt::format("{} cannot compress: {}", codec, what));
}

Result<> compress_gzip(std::optional<int> level, ByteView input, Bytes& out) {
  z_stream stream{};
  constexpr int kWindowBitsGzip = 15 + 16, kMemLevel = 8;
  if (deflateInit2(&stream, clamped(level, 6, 1, 9), Z_DEFLATED, kWindowBitsGzip, kMemLevel,
                   Z_DEFAULT_STRATEGY) != Z_OK)
    return out_of_memory("gzip", "no memory");
  const auto at = out.size();
  out.resize(at + deflateBound(&stream, input.size()));
  stream.next_in = const_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = out.data() + at;
  stream.avail_out = static_cast<uInt>(out.size() - at);
  const int status = deflate(&stream, Z_FINISH);
  out.resize(at + (status == Z_STREAM_END ? stream.total_out : 0));
  deflateEnd(&stream);
  if (status != Z_STREAM_END) return out_of_memory("gzip", zError(status));
  return {};
}

Result<> compress_snappy(ByteView input, Bytes& out) {
  const auto at = out.size();
  out.resize(at + snappy::MaxCompressedLength(input.size()));
  std::size_t size = 0;
  snappy::RawCompress(reinterpret_cast<const char*>(input.data()), input.size(),
                      reinterpret_cast<char*>(out.data() + at), &size);
  out.resize(at + size);
  return {};
}

Result<> compress_lz4(std::optional<int> level, ByteView input, Bytes& out) {
  LZ4F_preferences_t preferences = LZ4F_INIT_PREFERENCES;
  preferences.frameInfo.blockMode = LZ4F_blockIndependent;
  preferences.frameInfo.blockSizeID = LZ4F_max64KB;
  preferences.compressionLevel = clamped(level, 0, 0, LZ4F_compressionLevel_max());
  const auto at = out.size();
  out.resize(at + LZ4F_compressFrameBound(input.size(), &preferences));
  const auto size = LZ4F_compressFrame(out.data() + at, out.size() - at, input.data(), input.size(),
                                       &preferences);
  out.resize(at + (LZ4F_isError(size) ? 0 : size));
  if (LZ4F_isError(size)) return out_of_memory("lz4", LZ4F_getErrorName(size));
  return {};
}
}  // namespace

std::string_view name_of(Compression codec) {
  const auto index = static_cast<std::size_t>(codec);
  return index < kNames.size() ? kNames[index] : "unknown";
}

std::optional<Compression> parse_compression(std::string_view name) {
  const auto* const found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<Compression>(found - kNames.begin());
}

// ---- Compressor ----------------------------------------------------------------------------------

struct Compressor::Contexts {
  std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> zstd{nullptr, ZSTD_freeCCtx};
  int zstd_level = 0;

  /// Parameters are kept by the context, and set only when the level changes.
  Result<> prepare_zstd(int level) {
    if (zstd && level == zstd_level) return {};
    if (!zstd) zstd.reset(ZSTD_createCCtx());
    if (!zstd) return out_of_memory("zstd", "no memory");
    const std::array<std::pair<ZSTD_cParameter, int>, 4> settings{{
        {ZSTD_c_compressionLevel, level},
        {ZSTD_c_windowLog, kZstdWindowLog},  // smaller by itself for a smaller batch
        {ZSTD_c_hashLog, kZstdTableLog},
        {ZSTD_c_chainLog, kZstdTableLog},
    }};
    for (const auto& [parameter, value] : settings) {
      const auto status = ZSTD_CCtx_setParameter(zstd.get(), parameter, value);
      CHECK(!ZSTD_isError(status), "zstd parameter {} = {}: {}", static_cast<int>(parameter), value,
            ZSTD_getErrorName(status));
    }
    zstd_level = level;
    return {};
  }

  Result<> compress_zstd(std::optional<int> level, ByteView input, Bytes& out) {
    RETURN_IF_ERROR(prepare_zstd(clamped(level, 3, ZSTD_minCLevel(), ZSTD_maxCLevel())));
    const auto at = out.size();
    out.resize(at + ZSTD_compressBound(input.size()));
    const auto size = ZSTD_compress2(zstd.get(), out.data() + at, out.size() - at, input.data(),
                                     input.size());
    out.resize(at + (ZSTD_isError(size) ? 0 : size));
    if (ZSTD_isError(size)) return out_of_memory("zstd", ZSTD_getErrorName(size));
    return {};
  }
};

Compressor::Compressor() : contexts_(std::make_unique<Contexts>()) {}
Compressor::Compressor(Compressor&&) noexcept = default;
Compressor& Compressor::operator=(Compressor&&) noexcept = default;
Compressor::~Compressor() = default;

Result<> Compressor::compress(Compression codec, std::optional<int> level, ByteView input,
                              Bytes& out) {
  // zlib counts in 32 bits; a batch is far below that.
  CHECK(input.size() <= (1u << 30), "a batch of {} bytes <= 1 GiB", input.size());
  switch (codec) {
    case Compression::kNone: out.insert(out.end(), input.begin(), input.end()); return {};
    case Compression::kGzip: return compress_gzip(level, input, out);
    case Compression::kSnappy: return compress_snappy(input, out);
    case Compression::kLz4: return compress_lz4(level, input, out);
    case Compression::kZstd: return contexts_->compress_zstd(level, input, out);
  }
  CHECK(false, "codec {}", static_cast<int>(codec));
  return {};
}

}  // namespace tributary
