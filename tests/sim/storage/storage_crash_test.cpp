// The storage promise: whatever moment the power goes, every acknowledged batch is there, none twice,
// and the log opens without help.
//
// TRIBUTARY_SIM_SEED=n   the first seed (default 1)
// TRIBUTARY_SIM_RUNS=n   how many seeds (default 6)

#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/sim/storage/crash_workload.h"

namespace tributary::sim {
namespace {

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

struct Tally {
  std::uint64_t boundaries = 0;
  std::uint64_t images = 0;
  std::uint64_t opened = 0;
};

/// Runs the workload of one seed and checks what a crash leaves at each of its boundaries.
Result<> crash_everywhere(std::uint64_t seed, int steps, Tally& tally, Front front = Front::kStays) {
  SeededRandom random(seed ^ 0x5eed);
  Result<> first_wrong;
  CrashWorkload workload(seed, [&](const SimulatedFileSystem& disk, const Truth& truth) {
    if (!first_wrong) return;
    ++tally.boundaries;
    for (int variant = 0; variant < 2 && first_wrong; ++variant) {
      ++tally.images;
      // The power goes, or only the process.
      const auto image = variant == 0 && random.below(3) == 0 ? disk.copy() : disk.after_power_cut(random);
      CrashCheck check(truth, random);
      const auto checked = check.run(*image);
      tally.opened += check.opened();
      if (!checked)
        first_wrong = in_context(fmt::format("boundary {}, variant {}", tally.boundaries, variant), checked.error());
    }
  }, front);
  const auto ran = workload.run(steps);
  if (!first_wrong) return first_wrong;
  return ran;
}

// A failed append is cut off a segment, the segment is rolled, and a crash undoes the cut.
TEST(StorageCrash, ACutThatACrashUndoesIsMadeAgain) {
  for (const std::uint64_t seed : {1'000, 3'000, 4'002, 313'549}) {
    Tally tally;
    const auto result = crash_everywhere(seed, 300, tally);
    EXPECT_TRUE(result) << "TRIBUTARY_SIM_SEED=" << seed << ": " << result.error().message;
  }
}

// A process is killed between a deletion's rename and its sync, and the power goes while the next one removes files.
TEST(StorageCrash, AHalfDeletedPartitionNeverComesBack) {
  Tally tally;
  const auto result = crash_everywhere(10'047, 300, tally);
  EXPECT_TRUE(result) << result.error().message;
}

// A batch is refused when only its last byte, a zero, had no room; a crash undoes the cut, and a newer batch's length.
TEST(StorageCrash, ARefusedBatchThatACrashBringsBackIsAsIfSent) {
  Tally tally;
  const auto result = crash_everywhere(20'167, 300, tally);
  EXPECT_TRUE(result) << result.error().message;
}

void crash_everywhere(Front front) {
  const auto first_seed = from_environment("TRIBUTARY_SIM_SEED", 1);
  const auto runs = from_environment("TRIBUTARY_SIM_RUNS", 6);
  Tally total;
  for (std::uint64_t seed = first_seed; seed < first_seed + runs; ++seed) {
    Tally tally;
    const auto result = crash_everywhere(seed, 300, tally, front);
    total.boundaries += tally.boundaries;
    total.images += tally.images;
    total.opened += tally.opened;
    ASSERT_TRUE(result) << "TRIBUTARY_SIM_SEED=" << seed << ": " << result.error().message;
  }
  std::printf("seeds %llu to %llu: %llu boundaries, %llu crash images, %llu folders opened\n",
              static_cast<unsigned long long>(first_seed), static_cast<unsigned long long>(first_seed + runs - 1),
              static_cast<unsigned long long>(total.boundaries), static_cast<unsigned long long>(total.images),
              static_cast<unsigned long long>(total.opened));
  EXPECT_GT(total.images, 500 * runs);
}

TEST(StorageCrash, EveryAcknowledgedBatchSurvivesACrashAtEveryWriteAndSync) { crash_everywhere(Front::kStays); }

TEST(StorageCrash, WhatWasRemovedStaysRemovedAndTheRestStaysWhateverMomentACrashComes) {
  crash_everywhere(Front::kGoes);
}

}  // namespace
}  // namespace tributary::sim
