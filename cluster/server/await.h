#pragma once
// Turns a call of the metadata store into one that waits for it.

#include <future>
#include <memory>

#include "common/base/result.h"

namespace tributary {

/// `call` gets the `done` to pass on. Blocks until that has run: never on a shard or on the store's thread.
template <class T, class Call>
[[nodiscard]] Result<T> await(Call call) {
  // Shared, because set_value may still be returning when the future is ready.
  auto promise = std::make_shared<std::promise<Result<T>>>();
  auto future = promise->get_future();
  call([promise](Result<T> result) { promise->set_value(std::move(result)); });
  return future.get();
}

}  // namespace tributary
