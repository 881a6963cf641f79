#include "gateway/intake/user_properties.h"

#include "common/bytes/reader.h"
#include "common/bytes/writer.h"

namespace tributary {

void encode_user_properties(std::span<const UserProperty> properties, Bytes& out) {
  out.clear();
  ByteWriter writer(out);
  for (const auto& property : properties) {
    for (const auto text : {property.name, property.value}) {
      writer.uvarint(static_cast<std::uint32_t>(text.size()));
      writer.bytes(as_bytes(text));
    }
  }
}

Result<> decode_user_properties(ByteView encoded, std::vector<UserProperty>& out) {
  out.clear();
  ByteReader reader(encoded);
  while (reader.remaining() > 0) {
    UserProperty property;
    property.name = as_string_view(reader.bytes(reader.uvarint()));
    property.value = as_string_view(reader.bytes(reader.uvarint()));
    if (!reader.ok()) return fail(Errc::kCorrupt, "malformed user properties in the intake");
    out.push_back(property);
  }
  return {};
}

}  // namespace tributary
