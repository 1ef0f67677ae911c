# The Python module homeobox._core.
#
# Besides the installed module this keeps <build>/python/homeobox: the freshly built module among links to the
# Python sources. With PYTHONPATH=<build>/python any build folder runs as a package, without an install.

find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module)
if(NOT nanobind_ROOT)
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -m nanobind --cmake_dir
    OUTPUT_STRIP_TRAILING_WHITESPACE
    OUTPUT_VARIABLE nanobind_ROOT
    RESULT_VARIABLE nanobind_missing
  )
  if(nanobind_missing)
    message(FATAL_ERROR "homeobox's Python module needs nanobind in ${Python_EXECUTABLE}: pip install nanobind")
  endif()
endif()
find_package(nanobind CONFIG REQUIRED)

file(GLOB hox_binding_sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/cpp/bindings/*.cc")
if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/cpp/bindings/module.cc")
  message(WARNING "cpp/bindings/module.cc is missing: homeobox._core is not built")
  return()
endif()

# Own domain: our exception translator must not see the errors of other nanobind modules.
nanobind_add_module(_core NB_STATIC NB_DOMAIN homeobox NOMINSIZE ${hox_binding_sources})
target_include_directories(_core PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}/cpp")
target_link_libraries(_core PRIVATE homeobox hox_options)
set_target_properties(_core PROPERTIES LIBRARY_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/python/homeobox")
# nanobind's headers are not ours to warn about.
get_target_property(nanobind_includes nanobind-static INTERFACE_INCLUDE_DIRECTORIES)
if(nanobind_includes)
  target_include_directories(_core SYSTEM PRIVATE ${nanobind_includes})
endif()

file(MAKE_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/python/homeobox")
file(GLOB hox_python_entries CONFIGURE_DEPENDS LIST_DIRECTORIES true "${CMAKE_CURRENT_SOURCE_DIR}/python/homeobox/*")
file(MAKE_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/python/homeobox")
foreach(entry IN LISTS hox_python_entries)
  get_filename_component(entry_name "${entry}" NAME)
  if(NOT entry_name MATCHES "^(__pycache__|_core\\..*\\.so)$")
    file(CREATE_LINK "${entry}" "${CMAKE_CURRENT_BINARY_DIR}/python/homeobox/${entry_name}" SYMBOLIC)
  endif()
endforeach()

install(TARGETS _core LIBRARY DESTINATION homeobox COMPONENT python)
