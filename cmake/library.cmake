# The static library homeobox::homeobox, with its install rules and CMake package.

file(GLOB_RECURSE hox_sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/cpp/homeobox/*.cc")
# Tests live beside what they test; conformance suites are shared tests and need GoogleTest too.
set(hox_test_sources ${hox_sources})
list(FILTER hox_sources EXCLUDE REGEX "_(test|conformance)\\.cc$")
list(FILTER hox_test_sources INCLUDE REGEX "_(test|conformance)\\.cc$")
hox_set_kernel_flags(${hox_sources})

add_library(homeobox STATIC ${hox_sources})
add_library(homeobox::homeobox ALIAS homeobox)
set_target_properties(homeobox PROPERTIES LINKER_LANGUAGE CXX)
target_compile_features(homeobox PUBLIC cxx_std_20)
target_include_directories(
  homeobox PUBLIC "$<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/cpp>" "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>"
)
target_link_libraries(
  homeobox
  PUBLIC fmt::fmt nlohmann_json::nlohmann_json Threads::Threads
  PRIVATE homeobox::zstd homeobox::blosc ZLIB::ZLIB $<BUILD_INTERFACE:hox_options>
)

# scikit-build-core installs only what the wheel holds (component python); `cmake --install` takes the C++ package.
include(CMakePackageConfigHelpers)
set(hox_config_dir "${CMAKE_INSTALL_LIBDIR}/cmake/homeobox")
configure_package_config_file(
  cmake/homeoboxConfig.cmake.in "${CMAKE_CURRENT_BINARY_DIR}/homeoboxConfig.cmake" INSTALL_DESTINATION
  "${hox_config_dir}"
)
write_basic_package_version_file(
  "${CMAKE_CURRENT_BINARY_DIR}/homeoboxConfigVersion.cmake" COMPATIBILITY SameMinorVersion
)

install(
  TARGETS homeobox
  EXPORT homeoboxTargets
  ARCHIVE COMPONENT cpp
)
install(
  EXPORT homeoboxTargets
  NAMESPACE homeobox::
  DESTINATION "${hox_config_dir}"
  COMPONENT cpp
)
install(
  DIRECTORY cpp/homeobox
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
  COMPONENT cpp
  FILES_MATCHING
  PATTERN "*.h"
  PATTERN "*_conformance.h" EXCLUDE
)
install(
  FILES "${CMAKE_CURRENT_BINARY_DIR}/homeoboxConfig.cmake" "${CMAKE_CURRENT_BINARY_DIR}/homeoboxConfigVersion.cmake"
        cmake/FindLibZstd.cmake cmake/FindLibBlosc.cmake
  DESTINATION "${hox_config_dir}"
  COMPONENT cpp
)
