#pragma once
// Batches of random bytes, and a buffer in a folder of its own.

#include "gateway/buffer/flash_buffer.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "common/env/file_system.h"
#include "common/env/random.h"
#include "common/record/batch_builder.h"

namespace tributary {

inline SealedBatch make_batch(std::int64_t id, const TopicPartition& destination, Sequence sequence,
                       std::int32_t records, std::size_t value_bytes = 100) {
  BatchBuilder builder;
  SeededRandom random(static_cast<std::uint64_t>(id));
  for (std::int32_t i = 0; i < records; ++i) {
    Bytes value(value_bytes);
    for (auto& byte : value) byte = static_cast<std::uint8_t>(random.next_u64());
    builder.append(1000 + i, as_bytes("key"), value);
  }
  BatchOptions options;
  options.producer_id = ProducerId(9);
  options.producer_epoch = ProducerEpoch(2);
  options.base_sequence = sequence;
  SealedBatch batch;
  batch.info = {BatchId(id), destination, ProducerId(9), ProducerEpoch(2), sequence, records,
                records * static_cast<std::int32_t>(value_bytes), 0, 5000 + id, {}};
  batch.bytes = SharedBytes(builder.finish(options).value());
  batch.info.size = static_cast<std::int32_t>(batch.bytes.size());
  return batch;
}

inline TopicPartition partition(const std::string& topic, std::int32_t index) {
  return {topic, PartitionIndex(index)};
}

class FlashBufferTest : public testing::Test {
 protected:
  FlashBufferTest() {
    std::string pattern = testing::TempDir() + "tributary-buffer-XXXXXX";
    options_.folder = mkdtemp(pattern.data());
  }
  ~FlashBufferTest() override {
    buffer_.reset();
    EXPECT_TRUE(remove_recursively(posix_file_system(), options_.folder));
  }
  void open() {
    buffer_.reset();
    auto opened = FlashBuffer::open(options_);
    ASSERT_TRUE(opened) << opened.error().message;
    buffer_ = std::move(*opened);
  }
  std::vector<SealedBatchInfo> infos(std::int64_t after = 0, std::size_t rows_max = 1000) {
    std::vector<SealedBatchInfo> found;
    EXPECT_TRUE(buffer_->scan(BatchId(after), rows_max, [&](const SealedBatchInfo& info) {
      found.push_back(info);
      return true;
    }));
    return found;
  }
  std::string path() const { return options_.folder + "/buffer.db"; }

  FlashBufferOptions options_;
  std::unique_ptr<FlashBuffer> buffer_;
};

}  // namespace tributary
