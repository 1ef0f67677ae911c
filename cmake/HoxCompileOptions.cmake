# Flags shared by every target: interface hox_options, and per-file flags for kernels.

add_library(hox_options INTERFACE)
# Frame pointers cost about nothing and keep profiles of release builds readable.
target_compile_options(hox_options INTERFACE -fno-omit-frame-pointer)

if(HOX_DEVELOPER)
  target_compile_options(hox_options INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
  # g++'s -Wconversion leaves signs alone; both compilers shall ask for the same code.
  target_compile_options(hox_options INTERFACE $<$<CXX_COMPILER_ID:Clang>:-Wno-sign-conversion>)
endif()

if(HOX_SANITIZE)
  add_compile_options(-fsanitize=${HOX_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${HOX_SANITIZE})
endif()

set(CMAKE_CXX_FLAGS_RELEASE "-O3 -DNDEBUG")

# Kernels choose their instruction set at run time, so only these files may use one, and no build is -march=native.
# On another architecture the files compile to nothing: they guard themselves with #if defined(__x86_64__).
function(hox_set_kernel_flags)
  if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
    return()
  endif()
  set(avx2_flags -mavx2 -mbmi -mbmi2 -mfma)
  set(avx512_flags
      ${avx2_flags}
      -mavx512f
      -mavx512bw
      -mavx512cd
      -mavx512dq
      -mavx512vl
      -mavx512vbmi
      -mavx512vbmi2
  )
  foreach(source IN LISTS ARGN)
    if(source MATCHES "_avx2\\.cc$")
      set_source_files_properties("${source}" PROPERTIES COMPILE_OPTIONS "${avx2_flags}")
    elseif(source MATCHES "_avx512\\.cc$")
      set_source_files_properties("${source}" PROPERTIES COMPILE_OPTIONS "${avx512_flags}")
    endif()
  endforeach()
endfunction()
