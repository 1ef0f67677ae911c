// UnmappedStore: a store that is read, never mapped. For one pass over more data than fits in memory: mapped pages
// count as the process's own until the system wants them back, and a fault on a cold page stops the thread that
// decodes, where a read can run ahead of it.
#pragma once

#include <optional>
#include <string_view>

#include "homeobox/io/forwarding_store.h"

namespace hox {

class UnmappedStore final : public ForwardingStore {
 public:
  using ForwardingStore::ForwardingStore;
  std::optional<Buffer> view(std::string_view key) const override { return Store::view(key); }
};

}  // namespace hox
