#include "common/protocol/messages/api_versions.h"

#include "common/protocol/codec.h"

namespace tributary {

std::vector<ApiVersionsResponse::Api> ApiVersionsResponse::apis_of(std::span<const SupportedApi> table) {
  std::vector<Api> apis;
  for (const auto& row : table) apis.push_back({row.api, row.versions.min, row.versions.max});
  return apis;
}

TRIBUTARY_INSTANTIATE_MESSAGES(ApiVersionsRequest);

}  // namespace tributary
