#include "cluster/storage/log_directory.h"

#include <algorithm>

#include "cluster/storage/folder_names.h"
#include "cluster/storage/meta_properties.h"
#include "cluster/storage/partition_metadata.h"
#include "common/env/random.h"

namespace tributary {
namespace {

constexpr std::string_view kMetaProperties = "meta.properties";
constexpr std::string_view kCleanShutdown = ".kafka_cleanshutdown";
constexpr std::string_view kRecoveryPoints = "recovery-point-offset-checkpoint";
constexpr std::string_view kLogStartOffsets = "log-start-offset-checkpoint";
constexpr std::string_view kPartitionMetadata = "partition.metadata";
constexpr std::size_t kSmallFileMax = 64u << 10;
constexpr std::size_t kCheckpointMax = 256u << 20;  // a million partitions with the longest names

std::string parent_of(const std::string& path) {
  const auto slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string without_trailing_slashes(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

std::string random_id() { return to_string(uuid_from_random(random_u64_from_os(), random_u64_from_os())); }

}  // namespace

LogDirectory::LogDirectory(FileSystem& fs, const Clock& clock, const LogDirectoryOptions& options)
    : fs_(fs), clock_(clock), folder_(without_trailing_slashes(options.folder)) {}

LogDirectory::~LogDirectory() = default;

Result<std::unique_ptr<LogDirectory>> LogDirectory::open(FileSystem& fs, const Clock& clock,
                                                         const LogDirectoryOptions& options) {
  std::unique_ptr<LogDirectory> directory(new LogDirectory(fs, clock, options));
  RETURN_IF_ERROR(directory->prepare(options));
  return directory;
}

Result<> LogDirectory::prepare(const LogDirectoryOptions& options) {
  RETURN_IF_ERROR(create_folder());
  if (options.lock) {
    ASSIGN_OR_RETURN(lock_, FolderLock::acquire(folder_));
  }
  ASSIGN_OR_RETURN(const auto names, fs_.list(folder_));
  RETURN_IF_ERROR(check_identity(options, names));
  ASSIGN_OR_RETURN(log_starts_, load_checkpoint(std::string(kLogStartOffsets)));
  ASSIGN_OR_RETURN(recovery_points_, load_checkpoint(std::string(kRecoveryPoints)));
  // A deletion's rename must be durable before its files go: else a power cut brings back half a partition.
  if (std::ranges::any_of(names, [](const auto& name) { return is_deleted_folder_name(name); }))
    RETURN_IF_ERROR(fs_.sync_directory(folder_));
  RETURN_IF_ERROR(take_inventory(names));
  RETURN_IF_ERROR(forget_points_of_missing());
  was_clean_ = fs_.exists(path_of(kCleanShutdown));
  if (was_clean_) RETURN_IF_ERROR(fs_.remove(path_of(kCleanShutdown)));
  // For what was removed here, and for what a process created that was killed before it could sync:
  // a partition that is found is served, and must not vanish with the next power cut.
  return fs_.sync_directory(folder_);
}

/// Also makes the new folders durable: else a power cut could take the data with its folder.
Result<> LogDirectory::create_folder() {
  std::vector<std::string> missing;
  for (auto path = folder_; !fs_.exists(path); path = parent_of(path)) missing.push_back(path);
  if (missing.empty()) return {};
  RETURN_IF_ERROR(fs_.create_directories(folder_));
  for (const auto& path : missing) RETURN_IF_ERROR(fs_.sync_directory(parent_of(path)));
  return {};
}

Result<> LogDirectory::check_identity(const LogDirectoryOptions& options,
                                      const std::vector<std::string>& names) {
  const auto path = path_of(kMetaProperties);
  if (std::find(names.begin(), names.end(), kMetaProperties) == names.end()) {
    const auto partition = std::find_if(names.begin(), names.end(), [&](const std::string& name) {
      return parse_partition_folder_name(name) && fs_.list(path_of(name));
    });
    if (partition != names.end())
      return fail(Errc::kCorrupt,
                  fmt::format("{} holds partitions ({}) but no {}; it is not known whose they are",
                              folder_, *partition, kMetaProperties));
    cluster_id_ = options.cluster_id.empty() ? random_id() : options.cluster_id;
    return write_file_atomically(
        fs_, path, as_bytes(render_meta_properties({cluster_id_, options.broker_id})));
  }
  ASSIGN_OR_RETURN(const auto content, read_file(fs_, path, kSmallFileMax));
  const auto properties = parse_meta_properties(as_string_view(content));
  if (!properties) return in_context(path, properties.error());
  if (properties->broker_id != options.broker_id)
    return fail(Errc::kInvalidArgument,
                fmt::format("{} belongs to broker {}, not to broker {}; choose another data folder",
                            folder_, properties->broker_id, options.broker_id));
  if (!options.cluster_id.empty() && properties->cluster_id != options.cluster_id)
    return fail(Errc::kInvalidArgument,
                fmt::format("{} belongs to the cluster {}, not to {}; choose another data folder", folder_,
                            properties->cluster_id, options.cluster_id));
  cluster_id_ = properties->cluster_id;
  return {};
}

Result<> LogDirectory::take_inventory(const std::vector<std::string>& names) {
  for (const auto& name : names) {
    const auto path = path_of(name);
    const auto partition = parse_partition_folder_name(name);
    const bool deleted = is_deleted_folder_name(name);
    const bool folder = fs_.list(path).has_value();
    if (folder ? !partition && !deleted : partition || deleted) {
      warnings_.push_back(fmt::format("{} is not a partition's folder; left alone", path));
      continue;
    }
    if (!folder) continue;
    bool keep = false;
    if (partition) {
      ASSIGN_OR_RETURN(keep, add_partition(*partition));
    }
    if (!keep) RETURN_IF_ERROR(remove_recursively(fs_, path));
  }
  return {};
}

/// False if the folder is what an interrupted creation left: that writes partition.metadata before all
/// else.
Result<bool> LogDirectory::add_partition(const TopicPartition& partition) {
  const auto folder = path_of(partition_folder_name(partition));
  const auto path = folder + "/" + std::string(kPartitionMetadata);
  FoundPartition found{partition, std::nullopt};
  const auto metadata = read_file(fs_, path, kSmallFileMax);
  if (metadata) {
    const auto topic_id = parse_partition_metadata(as_string_view(*metadata));
    if (topic_id) found.topic_id = *topic_id;
    else warnings_.push_back(fmt::format("{}: {}", path, topic_id.error().message));
  } else {
    const auto point = recovery_points_.find(partition);
    const bool had_records = point != recovery_points_.end() && point->second > Offset(0);
    ASSIGN_OR_RETURN(const bool has_records, holds_records(folder));
    if (metadata.error().code == Errc::kNotFound && !had_records && !has_records) return false;
    warnings_.push_back(metadata.error().message);
  }
  found_.push_back(std::move(found));
  untouched_.insert(partition);
  return true;
}

Result<bool> LogDirectory::holds_records(const std::string& path) const {
  ASSIGN_OR_RETURN(const auto names, fs_.list(path));
  for (const auto& name : names) {
    const auto parsed = parse_segment_file_name(name);
    if (!parsed || parsed->suffix != kLogSuffix) continue;
    ASSIGN_OR_RETURN(const auto file, fs_.open(path + "/" + name, OpenMode::kRead));
    ASSIGN_OR_RETURN(const auto bytes, file->size());
    if (bytes > 0) return true;
  }
  return false;
}

Result<OffsetCheckpoint> LogDirectory::load_checkpoint(const std::string& name) {
  const auto path = path_of(name);
  if (!fs_.exists(path)) return OffsetCheckpoint{};
  ASSIGN_OR_RETURN(const auto content, read_file(fs_, path, kCheckpointMax));
  auto offsets = parse_offset_checkpoint(as_string_view(content));
  if (offsets) return offsets;
  warnings_.push_back(fmt::format("{}: {}; it is ignored", path, offsets.error().message));
  return OffsetCheckpoint{};
}

/// A partition that is created again under an old name must not find the old one's point.
Result<> LogDirectory::forget_points_of_missing() {
  const auto is_missing = [this](const auto& point) { return !untouched_.contains(point.first); };
  if (std::erase_if(recovery_points_, is_missing) > 0) RETURN_IF_ERROR(write_checkpoint());
  return std::erase_if(log_starts_, is_missing) > 0 ? raise_log_starts({}) : Result<>{};
}

// ---- Partitions ----------------------------------------------------------------------------------

Result<std::unique_ptr<Log>> LogDirectory::create_log(const TopicPartition& partition,
                                                      const Uuid& topic_id,
                                                      const LogConfig& config) {
  RETURN_IF_ERROR(validate_topic_name(partition.topic));
  const auto path = path_of(partition_folder_name(partition));
  if (fs_.exists(path)) return fail(Errc::kAlreadyExists, fmt::format("{} exists", path));
  RETURN_IF_ERROR(forget_point_on_file(partition));
  note_opened(partition);
  auto log = [&]() -> Result<std::unique_ptr<Log>> {
    RETURN_IF_ERROR(fs_.create_directories(path));
    RETURN_IF_ERROR(write_file_atomically(fs_, path + "/" + std::string(kPartitionMetadata),
                                          as_bytes(render_partition_metadata(topic_id))));
    ASSIGN_OR_RETURN(auto opened, open_folder(partition, config));
    RETURN_IF_ERROR(fs_.sync_directory(folder_));
    return opened;
  }();
  if (!log) (void)remove_recursively(fs_, path);  // so that it can be tried again
  return log;
}

Result<std::unique_ptr<Log>> LogDirectory::open_log(const TopicPartition& partition,
                                                    const LogConfig& config) {
  const auto path = path_of(partition_folder_name(partition));
  if (!fs_.exists(path)) return fail(Errc::kNotFound, fmt::format("{} does not exist", path));
  note_opened(partition);
  return open_folder(partition, config);
}

void LogDirectory::note_opened(const TopicPartition& partition) {
  const std::lock_guard lock(mutex_);
  opened_.insert(partition);
}

Result<std::unique_ptr<Log>> LogDirectory::open_folder(const TopicPartition& partition,
                                                       const LogConfig& config) {
  LogOpenOptions options;
  options.folder = path_of(partition_folder_name(partition));
  options.config = config;
  {
    const std::lock_guard lock(mutex_);
    const auto log_start = log_starts_.find(partition);
    if (log_start != log_starts_.end()) options.log_start_offset = log_start->second;
    options.clean = untouched_.erase(partition) > 0 && was_clean_;
    const auto point = recovery_points_.find(partition);
    if (point != recovery_points_.end()) options.recovery_point = point->second;
  }
  return Log::open(fs_, clock_, options);
}

Result<> LogDirectory::remove_log(const TopicPartition& partition, const Uuid& topic_id) {
  const auto path = path_of(partition_folder_name(partition));
  if (!fs_.exists(path)) {
    forget(partition);
    RETURN_IF_ERROR(fs_.sync_directory(folder_));  // a former try may have failed there
    return fail(Errc::kNotFound, fmt::format("{} does not exist", path));
  }
  ASSIGN_OR_RETURN(const auto owner, topic_of(partition));
  {
    const std::lock_guard lock(mutex_);
    if (owner ? *owner != topic_id : !opened_.contains(partition))
      return fail(Errc::kNotFound, fmt::format("{} is not known to be the topic {}'s", path, to_string(topic_id)));
  }
  const auto deleted =
      path_of(deleted_folder_name(partition, random_u64_from_os(), random_u64_from_os()));
  RETURN_IF_ERROR(fs_.rename(path, deleted));
  forget(partition);
  RETURN_IF_ERROR(fs_.sync_directory(folder_));
  return remove_recursively(fs_, deleted);
}

void LogDirectory::forget(const TopicPartition& partition) {
  const std::lock_guard lock(mutex_);
  untouched_.erase(partition);
  opened_.erase(partition);
  if (recovery_points_.erase(partition) > 0) stale_points_.insert(partition);
  if (log_starts_.erase(partition) > 0) stale_starts_.insert(partition);
}

/// What partition.metadata says; nothing if it is missing or damaged.
Result<std::optional<Uuid>> LogDirectory::topic_of(const TopicPartition& partition) const {
  const auto metadata = read_file(
      fs_, path_of(partition_folder_name(partition)) + "/" + std::string(kPartitionMetadata), kSmallFileMax);
  if (!metadata) {
    const auto code = metadata.error().code;
    if (code != Errc::kNotFound && code != Errc::kTooLarge) return tl::unexpected<Error>(metadata.error());
    return std::nullopt;
  }
  const auto topic_id = parse_partition_metadata(as_string_view(*metadata));
  return topic_id ? std::optional(*topic_id) : std::nullopt;
}

// ---- Checkpoints ---------------------------------------------------------------------------------

void LogDirectory::set_recovery_point(const TopicPartition& partition, Offset stable_offset) {
  const std::lock_guard lock(mutex_);
  recovery_points_[partition] = stable_offset;
}

Result<> LogDirectory::write_checkpoint() {
  const std::lock_guard writer(checkpoint_mutex_);
  std::string text;
  std::set<TopicPartition> left_out;
  {
    const std::lock_guard lock(mutex_);
    text = render_offset_checkpoint(recovery_points_);
    left_out = stale_points_;
  }
  RETURN_IF_ERROR(write_file_atomically(fs_, path_of(kRecoveryPoints), as_bytes(text)));
  const std::lock_guard lock(mutex_);
  for (const auto& partition : left_out) stale_points_.erase(partition);
  return {};
}

namespace {

void raise(OffsetCheckpoint& offsets, const OffsetCheckpoint& raised) {
  for (const auto& [partition, offset] : raised) {
    auto& noted = offsets.try_emplace(partition, offset).first->second;
    noted = std::max(noted, offset);
  }
}

}  // namespace

/// In memory only when it is on disk: what failed was not raised, and is not written with the next one.
Result<> LogDirectory::raise_log_starts(const OffsetCheckpoint& raised) {
  const std::lock_guard writer(checkpoint_mutex_);
  OffsetCheckpoint starts;
  std::set<TopicPartition> left_out;
  {
    const std::lock_guard lock(mutex_);
    starts = log_starts_;
    left_out = stale_starts_;
  }
  raise(starts, raised);
  RETURN_IF_ERROR(write_file_atomically(fs_, path_of(kLogStartOffsets), as_bytes(render_offset_checkpoint(starts))));
  const std::lock_guard lock(mutex_);
  raise(log_starts_, raised);
  for (const auto& partition : left_out) stale_starts_.erase(partition);
  return {};
}

/// Else a crash after its creation would find a new partition's end below the old one's durable point.
Result<> LogDirectory::forget_point_on_file(const TopicPartition& partition) {
  bool stale_point = false, stale_start = false;
  {
    const std::lock_guard lock(mutex_);
    stale_point = stale_points_.contains(partition);
    stale_start = stale_starts_.contains(partition);
  }
  if (stale_point) RETURN_IF_ERROR(write_checkpoint());
  return stale_start ? raise_log_starts({}) : Result<>{};
}

Result<> LogDirectory::mark_clean_shutdown() {
  RETURN_IF_ERROR(write_checkpoint());
  return write_file_atomically(fs_, path_of(kCleanShutdown), {});
}

}  // namespace tributary
