# Finds libzstd without pkg-config; defines the target homeobox::zstd. Installed beside homeoboxConfig.cmake, because a
# static library's users link it too and Debian's own config files differ between releases.
find_path(LIBZSTD_INCLUDE_DIR zstd.h)
find_library(LIBZSTD_LIBRARY zstd)
mark_as_advanced(LIBZSTD_INCLUDE_DIR LIBZSTD_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibZstd REQUIRED_VARS LIBZSTD_LIBRARY LIBZSTD_INCLUDE_DIR)

if(LibZstd_FOUND AND NOT TARGET homeobox::zstd)
  add_library(homeobox::zstd UNKNOWN IMPORTED)
  set_target_properties(
    homeobox::zstd PROPERTIES
    IMPORTED_LOCATION "${LIBZSTD_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${LIBZSTD_INCLUDE_DIR}"
  )
endif()
