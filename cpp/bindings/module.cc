// The extension module homeobox._core. Errors come first, so that a failure in a later layer has its class.

#include "bindings.h"

NB_MODULE(_core, m) {
  // Daemon threads may hold objects until the process ends, and the core never prints.
  nanobind::set_leak_warnings(false);
  m.doc() = "C++ core of homeobox: stores, codecs, arrays, ragged gathers.";
  hox::bindings::bind_errors(m);
  hox::bindings::bind_runtime(m);
  hox::bindings::bind_io(m);
  hox::bindings::bind_obstore(m);
  hox::bindings::bind_codec(m);
  hox::bindings::bind_zarr(m);
  hox::bindings::bind_ragged(m);
  hox::bindings::bind_csr_writer(m);
  hox::bindings::bind_file_array(m);
  hox::bindings::bind_transpose(m);
  hox::bindings::bind_loader(m);
}
