# missive_embed(<target> <name> <file>)
#
# Puts the bytes of <file> into <target> as the C array `<name>`, NUL-terminated,
# and their number, without the NUL, as `<name>_length`:
#   extern const char <name>[];
#   extern const size_t <name>_length;
# Run by `cmake -P` this file writes that C source; the build then needs nothing
# but CMake and a C compiler, and no assembler's idea of a path.

if(CMAKE_SCRIPT_MODE_FILE)
  file(READ "${INPUT}" bytes HEX)
  string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  file(SIZE "${INPUT}" length)
  file(WRITE "${OUTPUT}"
"#include <stddef.h>
extern const char ${NAME}[];
extern const size_t ${NAME}_length;
const char ${NAME}[] = {
${bytes}0};
const size_t ${NAME}_length = ${length};
")
  return()
endif()

set(MISSIVE_EMBED_SCRIPT "${CMAKE_CURRENT_LIST_FILE}")

function(missive_embed target name file)
  cmake_path(ABSOLUTE_PATH file BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}")
  set(output "${CMAKE_CURRENT_BINARY_DIR}/${name}.c")
  add_custom_command(
    OUTPUT "${output}"
    COMMAND "${CMAKE_COMMAND}" "-DINPUT=${file}" "-DOUTPUT=${output}" "-DNAME=${name}"
      -P "${MISSIVE_EMBED_SCRIPT}"
    DEPENDS "${file}" "${MISSIVE_EMBED_SCRIPT}"
    COMMENT "Embedding ${name}"
    VERBATIM)
  target_sources(${target} PRIVATE "${output}")
endfunction()
