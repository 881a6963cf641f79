#include "cluster/metadata/sqlite_metadata_store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <mutex>

#include "tests/unit/metadata/await.h"

namespace tributary {
namespace {


class SqliteMetadataStoreTest : public ::testing::Test {
 protected:
  void open() {
    auto opened = SqliteMetadataStore::open(path());
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = *std::move(opened);
  }
  void reopen() {
    store_.reset();
    open();
  }
  void SetUp() override { open(); }

  std::string path() const { return folder_.path() + "/metadata.db"; }
  Result<MetadataStore::NewVersions> commit(std::vector<MetadataWrite> writes) {
    return await<MetadataStore::NewVersions>(
        [&](auto done) { store_->commit(std::move(writes), std::move(done)); });
  }
  std::optional<MetadataEntry> get(const std::string& key) {
    auto entry = await<std::optional<MetadataEntry>>([&](auto done) { store_->get(key, std::move(done)); });
    EXPECT_TRUE(entry);
    return entry.value_or(std::nullopt);
  }
  std::string keys_below(const std::string& parent) {
    auto entries = await<std::vector<MetadataEntry>>([&](auto done) { store_->list(parent, std::move(done)); });
    EXPECT_TRUE(entries);
    std::string keys;
    for (const auto& entry : *entries) keys += entry.key + " ";
    return keys;
  }
  static Errc code_of(const Result<MetadataStore::NewVersions>& result) {
    EXPECT_FALSE(result);
    return result ? Errc::kIo : result.error().code;
  }

  TemporaryFolder folder_;
  std::unique_ptr<SqliteMetadataStore> store_;
};

TEST_F(SqliteMetadataStoreTest, AKeyThatWasNeverCreatedIsNothing) { EXPECT_EQ(get("/a"), std::nullopt); }

TEST_F(SqliteMetadataStoreTest, VersionsStartAtZeroAndCountPuts) {
  EXPECT_EQ(commit({MetadataWrite::create("/a", "one")}).value(), MetadataStore::NewVersions{0});
  EXPECT_EQ(commit({MetadataWrite::put("/a", "two", 0)}).value(), MetadataStore::NewVersions{1});
  EXPECT_EQ(commit({MetadataWrite::put("/a", "three", kAnyVersion)}).value(), MetadataStore::NewVersions{2});
  EXPECT_EQ(get("/a"), (MetadataEntry{"/a", "three", 2, false}));
}

TEST_F(SqliteMetadataStoreTest, APutOfAnOlderVersionChangesNothing) {
  ASSERT_TRUE(commit({MetadataWrite::create("/a", "one")}));
  ASSERT_TRUE(commit({MetadataWrite::put("/a", "two", 0)}));
  const auto late = commit({MetadataWrite::put("/a", "late", 0)});
  EXPECT_EQ(code_of(late), Errc::kVersionMismatch);
  EXPECT_NE(late.error().message.find("/a"), std::string::npos);
  EXPECT_EQ(get("/a")->value, "two");
}

TEST_F(SqliteMetadataStoreTest, CreatingTwiceAndPuttingNothingAreRefused) {
  ASSERT_TRUE(commit({MetadataWrite::create("/a", "")}));
  EXPECT_EQ(code_of(commit({MetadataWrite::create("/a", "")})), Errc::kAlreadyExists);
  EXPECT_EQ(code_of(commit({MetadataWrite::put("/b", "", kAnyVersion)})), Errc::kNotFound);
  EXPECT_EQ(code_of(commit({MetadataWrite::remove("/b", kAnyVersion)})), Errc::kNotFound);
  EXPECT_EQ(code_of(commit({MetadataWrite::remove("/a", 7)})), Errc::kVersionMismatch);
}

TEST_F(SqliteMetadataStoreTest, OneRefusedWriteUndoesTheWholeCommit) {
  ASSERT_TRUE(commit({MetadataWrite::create("/a", "one")}));
  EXPECT_EQ(code_of(commit({MetadataWrite::remove("/a", 0), MetadataWrite::create("/b", ""),
                            MetadataWrite::check("/c", 0)})),
            Errc::kNotFound);
  EXPECT_EQ(get("/a")->value, "one");
  EXPECT_EQ(get("/b"), std::nullopt);
}

TEST_F(SqliteMetadataStoreTest, ACommitSeesItsOwnWrites) {
  EXPECT_EQ(commit({MetadataWrite::create("/a", "1"), MetadataWrite::put("/a", "2", 0),
                    MetadataWrite::check("/a", 1), MetadataWrite::remove("/a", 1)})
                .value(),
            (MetadataStore::NewVersions{0, 1, 1, -1}));
}

TEST_F(SqliteMetadataStoreTest, AListHoldsDirectChildrenOnly) {
  ASSERT_TRUE(commit({MetadataWrite::create("/t", ""), MetadataWrite::create("/t/b", ""),
                      MetadataWrite::create("/t/a", ""), MetadataWrite::create("/t/a/deep", ""),
                      MetadataWrite::create("/tt/c", "")}));
  EXPECT_EQ(keys_below("/t"), "/t/a /t/b ");
  EXPECT_EQ(keys_below("/none"), "");
}

TEST_F(SqliteMetadataStoreTest, ValuesMayHoldAnyBytes) {
  const std::string bytes("\0\xff'\n", 4);
  ASSERT_TRUE(commit({MetadataWrite::create("/a", bytes)}));
  reopen();
  EXPECT_EQ(get("/a")->value, bytes);
}

TEST_F(SqliteMetadataStoreTest, KeysThatAreNoPathsAreRefused) {
  for (const auto* key : {"", "/", "a", "/a/", "//a", "/a//b", "/a/../b", "/./a", "/a b", "/\x01", "/\xc3\xa4"})
    EXPECT_EQ(code_of(commit({MetadataWrite::create(key, "")})), Errc::kInvalidArgument) << key;
  EXPECT_EQ(code_of(commit({MetadataWrite::create("/" + std::string(5000, 'k'), "")})), Errc::kInvalidArgument);
}

TEST_F(SqliteMetadataStoreTest, SizesAreBounded) {
  EXPECT_EQ(code_of(commit({MetadataWrite::create("/a", std::string(MetadataStore::kValueBytesMax + 1, 'v'))})),
            Errc::kTooLarge);
  EXPECT_EQ(code_of(commit({})), Errc::kInvalidArgument);
}

TEST_F(SqliteMetadataStoreTest, SessionBoundKeysEndWithTheStore) {
  ASSERT_TRUE(commit({MetadataWrite::create_session_bound("/brokers/1", ""), MetadataWrite::create("/a", "")}));
  EXPECT_TRUE(get("/brokers/1")->session_bound);
  reopen();
  EXPECT_EQ(get("/brokers/1"), std::nullopt);
  EXPECT_TRUE(get("/a"));
}

TEST_F(SqliteMetadataStoreTest, TheSessionIsConnected) {
  std::promise<SessionState> state;
  store_->on_session_state([&](SessionState s) { state.set_value(s); });
  EXPECT_EQ(state.get_future().get(), SessionState::kConnected);
}

TEST_F(SqliteMetadataStoreTest, AWatchStreamsChangesAtAndBelowItsKey) {
  std::mutex mutex;
  std::vector<std::string> seen;
  const auto id = store_->watch("/t", [&](const std::string& key) {
    const std::scoped_lock lock(mutex);
    seen.push_back(key);
  });
  ASSERT_TRUE(commit({MetadataWrite::create("/t/a", ""), MetadataWrite::create("/tt", "")}));
  ASSERT_TRUE(commit({MetadataWrite::put("/t/a", "x", 0)}));
  ASSERT_FALSE(commit({MetadataWrite::create("/t/a", "")}));
  ASSERT_TRUE(commit({MetadataWrite::create("/t", "")}));
  ASSERT_TRUE(commit({MetadataWrite::check("/t", 0)}));  // its `done` runs after the watchers before it
  store_->unwatch(id);
  ASSERT_TRUE(commit({MetadataWrite::remove("/t/a", 1)}));
  store_.reset();
  EXPECT_EQ(seen, (std::vector<std::string>{"/t/a", "/t/a", "/t"}));
}

TEST_F(SqliteMetadataStoreTest, AWatcherMayEndItself) {
  std::atomic<int> calls = 0;
  MetadataStore::WatchId id = 0;
  id = store_->watch("/t", [&](const std::string&) {
    ++calls;
    store_->unwatch(id);
  });
  ASSERT_TRUE(commit({MetadataWrite::create("/t/a", ""), MetadataWrite::create("/t/b", "")}));
  ASSERT_TRUE(commit({MetadataWrite::check("/t/a", 0)}));
  EXPECT_EQ(calls, 1);
}

TEST_F(SqliteMetadataStoreTest, ClosingCompletesWhatIsQueued) {
  std::atomic<int> done = 0;
  for (int i = 0; i < 50; ++i)
    store_->commit({MetadataWrite::create("/k" + std::to_string(i), "")}, [&](auto result) {
      EXPECT_TRUE(result);
      ++done;
    });
  store_.reset();
  EXPECT_EQ(done, 50);
}

TEST_F(SqliteMetadataStoreTest, ASecondOpenIsRefusedWhileTheFirstLives) {
  const auto second = SqliteMetadataStore::open(path());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::kLocked);
  EXPECT_NE(second.error().message.find(path()), std::string::npos);
}

TEST_F(SqliteMetadataStoreTest, AForeignFileIsRefusedByName) {
  store_.reset();
  const auto other = folder_.path() + "/other.db";
  ASSERT_TRUE(write_file_atomically(posix_file_system(), other, as_bytes(std::string(4096, 'x'))));
  const auto opened = SqliteMetadataStore::open(other);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::kCorrupt);
  EXPECT_NE(opened.error().message.find(other), std::string::npos);
  EXPECT_EQ(SqliteMetadataStore::open(folder_.path() + "/none/metadata.db").error().code, Errc::kIo);
}

TEST_F(SqliteMetadataStoreTest, ADatabaseOfAnotherVersionIsRefused) {
  store_.reset();
  // The user version is the big-endian integer at byte 60 of a SQLite file.
  auto file = posix_file_system().open(path(), OpenMode::kReadWrite);
  ASSERT_TRUE(file);
  const std::array<std::uint8_t, 4> version{0, 0, 0, 99};
  const std::array<ByteView, 1> parts{ByteView(version)};
  ASSERT_TRUE((*file)->write_at(60, parts));
  const auto opened = SqliteMetadataStore::open(path());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::kUnsupported);
  EXPECT_NE(opened.error().message.find("99"), std::string::npos);
}

TEST_F(SqliteMetadataStoreTest, CommitsThatWereReportedSurviveKill9) {
  store_.reset();
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto store = SqliteMetadataStore::open(path());
    for (int i = 0; store && i < 1'000'000; ++i) {
      auto done = await<MetadataStore::NewVersions>([&](auto callback) {
        (*store)->commit({MetadataWrite::create("/n/" + std::to_string(i), "")}, std::move(callback));
      });
      if (!done || write(pipe_ends[1], "x", 1) != 1) break;
    }
    _exit(1);
  }
  close(pipe_ends[1]);
  char buffer[1];
  int reported = 0;
  while (reported < 20 && read(pipe_ends[0], buffer, 1) == 1) ++reported;
  kill(child, SIGKILL);
  while (read(pipe_ends[0], buffer, 1) == 1) ++reported;
  int status = 0;
  waitpid(child, &status, 0);
  close(pipe_ends[0]);
  ASSERT_GE(reported, 20);

  open();
  for (int i = 0; i < reported; ++i) EXPECT_TRUE(get("/n/" + std::to_string(i))) << i;
  EXPECT_EQ(get("/n/" + std::to_string(reported + 1)), std::nullopt);
}

}  // namespace
}  // namespace tributary
