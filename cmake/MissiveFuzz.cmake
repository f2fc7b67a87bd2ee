# missive_fuzz_targets(): every *_fuzz.c of the current directory becomes a
# libFuzzer executable. The file's first word names the layer it links
# (homa_input_fuzz.c: homa and below); any other word means all of them.

function(missive_fuzz_targets)
  if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "MISSIVE_FUZZ needs clang: use `cmake --preset fuzz`")
  endif()
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*_fuzz.c")
  foreach(source IN LISTS sources)
    cmake_path(GET source STEM target)
    string(REGEX REPLACE "_.*" "" layer ${target})
    if(NOT TARGET missive_${layer})
      set(layer rpc)
    endif()
    add_executable(${target} ${source})
    # libFuzzer's entry points have no prototype to include.
    target_compile_options(${target} PRIVATE -Wno-missing-prototypes)
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
    target_link_libraries(${target} PRIVATE missive_${layer})
  endforeach()
endfunction()
