// zarr.json: any text parses to metadata that survives its own text, or is refused.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "homeobox/base/error.h"
#include "homeobox/zarr/metadata.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using hox::zarr::ArrayMetadata;
  try {
    const std::string text = ArrayMetadata::parse({reinterpret_cast<const char*>(data), size}, "a").to_text();
    if (ArrayMetadata::parse(text, "a").to_text() != text) std::abort();
  } catch (const hox::Error&) {
  }
  return 0;
}
