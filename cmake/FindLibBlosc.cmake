# Finds libblosc without pkg-config; defines the target homeobox::blosc. Installed beside homeoboxConfig.cmake, because a
# static library's users link it too and Debian's own config files differ between releases.
find_path(LIBBLOSC_INCLUDE_DIR blosc.h)
find_library(LIBBLOSC_LIBRARY blosc)
mark_as_advanced(LIBBLOSC_INCLUDE_DIR LIBBLOSC_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibBlosc REQUIRED_VARS LIBBLOSC_LIBRARY LIBBLOSC_INCLUDE_DIR)

if(LibBlosc_FOUND AND NOT TARGET homeobox::blosc)
  add_library(homeobox::blosc UNKNOWN IMPORTED)
  set_target_properties(
    homeobox::blosc PROPERTIES
    IMPORTED_LOCATION "${LIBBLOSC_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${LIBBLOSC_INCLUDE_DIR}"
  )
endif()
