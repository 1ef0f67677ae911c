# What the library needs, each named by the Debian package that brings it.
macro(hox_require package debian_package)
  find_package(${package} ${ARGN} QUIET)
  if(NOT ${package}_FOUND)
    message(FATAL_ERROR "homeobox needs ${package}, which was not found: install ${debian_package}")
  endif()
endmacro()

hox_require(Threads libc6-dev)
hox_require(fmt libfmt-dev 9 CONFIG)
hox_require(nlohmann_json nlohmann-json3-dev 3.10 CONFIG)
hox_require(ZLIB zlib1g-dev)
hox_require(LibZstd libzstd-dev)
hox_require(LibBlosc libblosc-dev)
