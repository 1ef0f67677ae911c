# One program per file of cpp/bench, built on demand by the target hox_benchmarks.
hox_require(benchmark libbenchmark-dev)

add_custom_target(hox_benchmarks)
file(GLOB hox_benchmark_sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/cpp/bench/*.cc")
foreach(source IN LISTS hox_benchmark_sources)
  get_filename_component(benchmark_name "${source}" NAME_WE)
  add_executable(${benchmark_name} EXCLUDE_FROM_ALL "${source}")
  target_link_libraries(${benchmark_name} PRIVATE homeobox hox_options benchmark::benchmark benchmark::benchmark_main)
  set_target_properties(${benchmark_name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/bench")
  add_dependencies(hox_benchmarks ${benchmark_name})
endforeach()
