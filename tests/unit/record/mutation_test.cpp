#include <atomic>
#include <cstdlib>
#include <new>

#include "common/bytes/crc32c.h"
#include "common/env/random.h"
#include "tests/unit/record/records.h"

// Counts the largest single allocation, to show that garbage never makes one beyond the caps.
namespace {
std::atomic<std::size_t> largest_allocation{0};
}
[[gnu::noinline]] void* operator new(std::size_t size) {
  auto largest = largest_allocation.load(std::memory_order_relaxed);
  while (size > largest && !largest_allocation.compare_exchange_weak(largest, size)) {
  }
  if (void* const memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace tributary {
namespace {

constexpr std::size_t kDecompressedMax = 256 << 10;

std::uint64_t seed() {
  const char* const given = std::getenv("TRIBUTARY_SEED");
  const auto value = given != nullptr ? std::strtoull(given, nullptr, 10) : random_u64_from_os();
  std::printf("TRIBUTARY_SEED=%llu\n", static_cast<unsigned long long>(value));
  return value;
}

void mutate(Bytes& batch, Random& random) {
  for (auto changes = 1 + random.below(4); changes > 0 && !batch.empty(); --changes) {
    const auto at = random.below(2) == 0 ? random.below(std::min<std::size_t>(batch.size(), 80))
                                         : random.below(batch.size());
    switch (random.below(6)) {
      case 0: batch[at] ^= static_cast<std::uint8_t>(1u << random.below(8)); break;
      case 1: batch[at] = static_cast<std::uint8_t>(random.next_u64()); break;
      case 2: batch[at] = random.below(2) == 0 ? 0xff : 0x7f; break;
      case 3: batch.resize(at); break;
      case 4: batch.insert(batch.begin() + static_cast<std::ptrdiff_t>(at), random.below(20), 0x80); break;
      default: {
        const auto end = at + random.below(batch.size() - at + 1);
        batch.erase(batch.begin() + static_cast<std::ptrdiff_t>(at),
                    batch.begin() + static_cast<std::ptrdiff_t>(end));
      }
    }
  }
}

/// Repairs length and CRC, so that the damage reaches what lies behind them.
void repair(Bytes& batch) {
  if (batch.size() < kBatchHeaderSize) return;
  const auto length = static_cast<std::uint32_t>(batch.size() - kBatchLengthEnd);
  for (std::size_t i = 0; i < 4; ++i) batch[8 + i] = static_cast<std::uint8_t>(length >> (24 - 8 * i));
  batch[16] = 2;
  const auto crc = crc32c(ByteView(batch).subspan(21));
  for (std::size_t i = 0; i < 4; ++i) batch[17 + i] = static_cast<std::uint8_t>(crc >> (24 - 8 * i));
}

void use_everything(const Bytes& batch, Decompressor& decompressor) {
  (void)parse_batch_header(batch);
  (void)validate_batch(batch, {.decompressed_bytes_max = kDecompressedMax,
                               .record_check = RecordCheck::kAll});
  BatchIterator batches(batch, PartialTail::kIgnore);
  for (;;) {
    const auto view = batches.next();
    if (!view || !*view) break;
    auto reader = RecordReader::open((*view)->bytes, kDecompressedMax, decompressor);
    if (!reader) continue;
    RecordView record;
    std::int64_t bytes_seen = 0;
    for (;;) {
      const auto more = reader->next(record);
      if (!more || !*more) break;
      if (record.value)
        for (const auto byte : *record.value) bytes_seen += byte;  // a stray view would be found by ASan
      ASSERT_LE(record.offset, reader->header().last_offset());
    }
    ASSERT_GE(bytes_seen, 0);
  }
}

TEST(Mutation, DamagedBatchesNeverCrashNorOverAllocate) {
  SeededRandom random(seed());
  std::vector<Bytes> originals;
  for (const auto codec : kAllCodecs) {
    auto records = readings(40);
    records[1].headers = {{"topic", "sensors/1"}, {"null", std::nullopt}};
    originals.push_back(batch_of(records, {.compression = codec}));
  }
  Decompressor decompressor;
  largest_allocation = 0;
  for (int round = 0; round < 40'000; ++round) {
    auto batch = originals[random.below(originals.size())];
    mutate(batch, random);
    if (random.below(4) != 0) repair(batch);
    use_everything(batch, decompressor);
  }
  EXPECT_LE(largest_allocation.load(), kDecompressedMax);
}

TEST(Mutation, PlainGarbageIsRefused) {
  SeededRandom random(seed());
  Decompressor decompressor;
  for (int round = 0; round < 20'000; ++round) {
    Bytes garbage(random.below(200));
    for (auto& byte : garbage) byte = static_cast<std::uint8_t>(random.next_u64());
    if (round % 2 == 0) repair(garbage);
    use_everything(garbage, decompressor);
  }
}

}  // namespace
}  // namespace tributary
