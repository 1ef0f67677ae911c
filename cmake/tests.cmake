# One GoogleTest program with every *_test.cc.
hox_require(GTest libgtest-dev)

if(NOT hox_test_sources)
  return()
endif()
add_executable(hox_tests ${hox_test_sources})
target_link_libraries(hox_tests PRIVATE homeobox hox_options GTest::gtest GTest::gtest_main)
# Unit tests reach the codecs' libraries to make reference data.
target_link_libraries(hox_tests PRIVATE homeobox::zstd homeobox::blosc ZLIB::ZLIB)
add_test(NAME hox_tests COMMAND hox_tests --gtest_brief=1)
set_tests_properties(hox_tests PROPERTIES ENVIRONMENT "HOX_GOLDEN_DIR=${CMAKE_CURRENT_SOURCE_DIR}/tests/golden")
