# missive_tests(<group> [LAYERS layer...])
#
# Every *_test.c of the current directory becomes a cmocka executable
# <group>_<file> and the ctest test <group>.<file without _test>, linked with
# LAYERS (default: the layer of the group's name) and everything below them.
# Other *.c of the directory are compiled into each of them; tests/support is
# linked to all. Every *_test.sh becomes the test <group>.<file without _test>.
# `make <group>_tests` builds one group.
#
# Longer or exclusive tests say so after the call, in their CMakeLists.txt:
#   set_tests_properties(socket.progress PROPERTIES TIMEOUT 300 RUN_SERIAL ON)

# Seconds after which a test is taken for hung; sanitizers slow it down.
set(MISSIVE_TEST_TIMEOUT_S 120)
if(MISSIVE_SANITIZE)
  set(MISSIVE_TEST_TIMEOUT_S 600)
endif()

function(missive_tests group)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "LAYERS")
  if(NOT DEFINED ARG_LAYERS)
    set(ARG_LAYERS ${group})
  endif()
  file(GLOB tests CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*_test.c")
  file(GLOB scripts CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*_test.sh")
  file(GLOB support CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.c")
  list(REMOVE_ITEM support ${tests})

  add_custom_target(${group}_tests)
  foreach(source IN LISTS tests)
    cmake_path(GET source STEM stem)
    set(target ${group}_${stem})
    add_executable(${target} ${source} ${support})
    set_target_properties(${target} PROPERTIES OUTPUT_NAME ${stem})
    list(TRANSFORM ARG_LAYERS PREPEND missive_ OUTPUT_VARIABLE layers)
    # NDEBUG is for the library: a test's own assertions always count.
    target_compile_options(${target} PRIVATE -UNDEBUG)
    target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/tests")
    target_link_libraries(${target} PRIVATE
      missive_test_support ${layers} PkgConfig::CMOCKA)
    add_dependencies(${group}_tests ${target})
    string(REGEX REPLACE "_test$" "" name ${stem})
    missive_add_test(${group} ${group}.${name} ${target})
  endforeach()

  foreach(script IN LISTS scripts)
    cmake_path(GET script STEM stem)
    string(REGEX REPLACE "_test$" "" name ${stem})
    missive_add_test(${group} ${group}.${name} ${script})
  endforeach()
endfunction()

# Registers one test with what all of them share. Status 77 is "skipped, for
# the reason printed": a test that needs root says it that way.
function(missive_add_test group name command)
  add_test(NAME ${name} COMMAND ${command})
  set_tests_properties(${name} PROPERTIES
    TIMEOUT ${MISSIVE_TEST_TIMEOUT_S}
    SKIP_RETURN_CODE 77
    LABELS ${group}
    ENVIRONMENT "TEST_SOURCE_DIR=${PROJECT_SOURCE_DIR};TEST_BUILD_DIR=${PROJECT_BINARY_DIR};CC=${CMAKE_C_COMPILER}")
endfunction()
