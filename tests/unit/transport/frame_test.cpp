#include "common/transport/frame_assembler.h"
#include "common/transport/frame_writer.h"
#include "tests/unit/transport/transport_fixture.h"

namespace tributary {
namespace {

Bytes framed(const Bytes& frame) {
  Bytes out;
  ByteWriter writer(out);
  writer.i32(static_cast<std::int32_t>(frame.size()));
  writer.bytes(frame);
  return out;
}

TEST(FrameAssembler, FramesSurviveAnyCutOfTheStream) {
  const std::vector<Bytes> frames = {pattern(8, 1), pattern(300, 2), pattern(200'000, 3), pattern(9, 4)};
  Bytes stream;
  for (const auto& frame : frames) {
    const auto bytes = framed(frame);
    stream.insert(stream.end(), bytes.begin(), bytes.end());
  }
  for (const std::size_t cut : {1u, 3u, 7u, 1000u, 65'536u, 1'000'000u}) {
    FrameAssembler assembler(8, 1 << 20);
    std::deque<SharedBytes> out;
    for (std::size_t at = 0; at < stream.size(); at += cut)
      ASSERT_TRUE(assembler.feed(ByteView(stream).subspan(at, std::min(cut, stream.size() - at)), out));
    ASSERT_EQ(out.size(), frames.size()) << cut;
    for (std::size_t i = 0; i < frames.size(); ++i) EXPECT_EQ(to_bytes(out[i].view()), frames[i]);
    EXPECT_FALSE(assembler.mid_frame());
  }
}

TEST(FrameAssembler, LargeFramesAreReadInPlace) {
  const auto frame = pattern(300'000);
  const auto stream = framed(frame);
  FrameAssembler assembler(8, 1 << 20);
  std::deque<SharedBytes> out;
  ASSERT_TRUE(assembler.feed(ByteView(stream).first(10), out));
  std::size_t at = 10;
  while (out.empty()) {
    const auto space = assembler.direct();
    ASSERT_FALSE(space.empty());
    ASSERT_LE(space.size(), stream.size() - at);
    std::memcpy(space.data(), stream.data() + at, space.size());
    at += space.size();
    assembler.advance(space.size(), out);
  }
  EXPECT_EQ(to_bytes(out.front().view()), frame);
  EXPECT_TRUE(assembler.direct().empty());
}

TEST(FrameAssembler, AnnouncedBytesCostNothingUntilTheyArrive) {
  FrameAssembler assembler(8, 1u << 30);
  std::deque<SharedBytes> out;
  const Bytes announcement = {0x3f, 0xff, 0xff, 0xff};
  ASSERT_TRUE(assembler.feed(announcement, out));
  EXPECT_LE(assembler.direct().size(), 64u << 10);
}

TEST(FrameAssembler, ImpossibleLengthsAreErrors) {
  std::deque<SharedBytes> out;
  const auto code_for = [&](std::int32_t length) {
    FrameAssembler assembler(8, 1000);
    Bytes prefix;
    ByteWriter(prefix).i32(length);
    const auto fed = assembler.feed(prefix, out);
    return fed ? std::optional<Errc>() : fed.error().code;
  };
  EXPECT_EQ(code_for(-1), Errc::kCorrupt);
  EXPECT_EQ(code_for(std::numeric_limits<std::int32_t>::min()), Errc::kCorrupt);
  EXPECT_EQ(code_for(0), Errc::kCorrupt);
  EXPECT_EQ(code_for(7), Errc::kCorrupt);
  EXPECT_EQ(code_for(1000), std::nullopt);
  EXPECT_EQ(code_for(1001), Errc::kTooLarge);
  EXPECT_EQ(code_for(0x15030100), Errc::kTooLarge);  // a TLS alert read as a length
}

class FrameWriterTest : public testing::Test {
 protected:
  FrameWriterTest() {
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets_), 0);
    const int small = 4096;
    ::setsockopt(sockets_[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  }
  ~FrameWriterTest() override {
    for (const int socket : sockets_)
      if (socket >= 0) ::close(socket);
  }
  /// Alternates between writing and reading up to `step` bytes.
  Bytes drain(FrameWriter& writer, std::size_t step) {
    Bytes received;
    Bytes chunk(step);
    for (;;) {
      const auto status = writer.write_some(sockets_[0]);
      EXPECT_TRUE(status) << (status ? "" : status.error().message);
      if (!status) return received;
      const auto count = ::recv(sockets_[1], chunk.data(), chunk.size(), MSG_DONTWAIT);
      if (count > 0) received.insert(received.end(), chunk.begin(), chunk.begin() + count);
      if (count <= 0 && *status == FrameWriter::Status::kDone) return received;
    }
  }
  int sockets_[2] = {-1, -1};
};

TEST_F(FrameWriterTest, MixedPartsArriveWholeThroughASmallSocketBuffer) {
  const auto content = pattern(500'000);
  TemporaryFile file(content);
  const auto memory = std::make_shared<MemoryFile>(content);
  Bytes expected;
  FrameWriter writer;
  for (int i = 0; i < 3; ++i) {
    Payload payload(pattern(100, 5));
    payload.append(FileSlice{file.file(), 1000, 300'000});
    payload.append(SharedBytes(pattern(70'000, 6)));
    payload.append(FileSlice{memory, 7, 100'001});
    for (int k = 0; k < 150; ++k) payload.append(SharedBytes(pattern(10, 7)));  // more than one iovec array
    const auto frame = framed(payload.flatten().value());
    expected.insert(expected.end(), frame.begin(), frame.end());
    writer.push(std::move(payload));
  }
  EXPECT_EQ(writer.queued_bytes(), expected.size());
  EXPECT_EQ(drain(writer, 3000), expected);
  EXPECT_EQ(writer.queued_bytes(), 0u);
  EXPECT_TRUE(writer.empty());
}

TEST_F(FrameWriterTest, AFileShorterThanItsSliceIsAnError) {
  TemporaryFile file(pattern(1000));
  const auto memory = std::make_shared<MemoryFile>(pattern(1000));
  for (const std::shared_ptr<const File>& source : {std::shared_ptr<const File>(file.file()),
                                                    std::shared_ptr<const File>(memory)}) {
    FrameWriter writer;
    Payload payload;
    payload.append(FileSlice{source, 500, 501});
    writer.push(std::move(payload));
    auto status = writer.write_some(sockets_[0]);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Errc::kCorrupt);
  }
}

TEST_F(FrameWriterTest, AGonePeerIsUnavailable) {
  ::close(std::exchange(sockets_[1], -1));
  FrameWriter writer;
  writer.push(Payload(pattern(10)));
  const auto status = writer.write_some(sockets_[0]);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Errc::kUnavailable);
}

}  // namespace
}  // namespace tributary
