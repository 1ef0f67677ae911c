# One libFuzzer program per file of cpp/fuzz. The whole library carries coverage instrumentation (HOX_SANITIZE of
# the preset holds fuzzer-no-link); the programs add the fuzzer's main.
if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  message(FATAL_ERROR "HOX_BUILD_FUZZERS needs clang, found ${CMAKE_CXX_COMPILER_ID}: use `cmake --preset fuzz`")
endif()

file(GLOB hox_fuzz_sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/cpp/fuzz/*.cc")
foreach(source IN LISTS hox_fuzz_sources)
  get_filename_component(fuzzer_name "${source}" NAME_WE)
  add_executable(${fuzzer_name} "${source}")
  target_link_libraries(${fuzzer_name} PRIVATE homeobox hox_options)
  target_link_options(${fuzzer_name} PRIVATE -fsanitize=fuzzer)
  set_target_properties(${fuzzer_name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/fuzz")
endforeach()
