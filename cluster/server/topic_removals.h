#pragma once
// Brings the removal of topics to its end, also over a disk that is full or fails for a while.

#include <string_view>
#include <vector>

#include "cluster/metadata/topic_registry.h"
#include "cluster/storage/log_directory.h"

namespace tributary {

/// A removal has three steps: out of the registry, which leaves a note; the folders; the note. What fails
/// is said once, kept in memory, and tried again. If the process ends first, the next start finds the note,
/// or the topic whole where not even the first step was done.
///
/// The controller's thread only: it waits for the disk and for the metadata store. What it uses must
/// outlive it.
class TopicRemovals {
 public:
  TopicRemovals(TopicRegistry& registry, LogDirectory& directory) : registry_(registry), directory_(directory) {}

  /// The first step. Also succeeds if it was done before: the store may do a thing and yet report an error.
  [[nodiscard]] Result<RemovedTopic> unregister(const Topic& topic);
  /// The other steps; the topic's logs are closed. Folders of other topics of that name are left alone.
  void remove_folders(const RemovedTopic& topic);
  /// All steps, of a topic that was not created whole.
  void take_back(const Topic& topic);

  /// Tries again what has failed.
  void retry();
  /// Tries again what has failed under this name. The error says what still fails: until then no topic
  /// may get the name.
  [[nodiscard]] Result<> finish(std::string_view name);

 private:
  struct Removal {
    Topic topic;
    bool registered = true;
  };

  void begin(Removal removal);
  [[nodiscard]] Result<> try_again(Removal& removal);
  [[nodiscard]] Result<> carry_on(Removal& removal);

  TopicRegistry& registry_;
  LogDirectory& directory_;
  std::vector<Removal> unfinished_;
};

}  // namespace tributary
