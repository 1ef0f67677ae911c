// Manifest: any bytes are refused or list objects that can be written again.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "homeobox/base/error.h"
#include "homeobox/io/memory_store.h"
#include "homeobox/zarr/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  hox::MemoryStore store;
  store.write("g/.hox-manifest", std::as_bytes(std::span(data, size)));
  try {
    const auto objects = hox::zarr::read_manifest(store, "g");
    if (!objects) std::abort();
    hox::zarr::write_manifest(store, "g", *objects);
  } catch (const hox::Error&) {
  }
  return 0;
}
