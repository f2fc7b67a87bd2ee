# Language, warnings, visibility and sanitizers: the same for every target.

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON) # gnu17
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Release or Debug" FORCE)
endif()
set(CMAKE_C_FLAGS_RELEASE "-O2 -g -DNDEBUG")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g")

add_compile_definitions(_GNU_SOURCE)
add_compile_options(
  -Wall -Wextra -Wshadow -Wconversion
  -Wstrict-prototypes -Wmissing-prototypes -Wvla
  -fno-omit-frame-pointer)
if(MISSIVE_WERROR)
  add_compile_options(-Werror)
endif()

if(MISSIVE_SANITIZE)
  # -fno-sanitize-recover: the first finding ends the test.
  add_compile_options(-fsanitize=${MISSIVE_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${MISSIVE_SANITIZE})
else()
  # Debian's own hardening, where no sanitizer does better.
  add_compile_options(-fstack-protector-strong)
  add_compile_options("$<$<CONFIG:Release>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=2>")
  add_link_options(-Wl,-z,relro,-z,now)
endif()
