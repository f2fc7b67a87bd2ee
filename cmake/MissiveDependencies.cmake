# Libraries from outside, all Debian packages. tools/deps installs them.

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

# src/base wraps bsd/sys/tree.h; headers only, nothing is linked.
pkg_check_modules(LIBBSD REQUIRED libbsd)

# SHA-256 in the command.
pkg_check_modules(LIBCRYPTO REQUIRED IMPORTED_TARGET libcrypto)

# Only the tests need cmocka: without it the library and the command still build,
# and ctest, finding no tests, fails.
if(MISSIVE_TESTS)
  pkg_check_modules(CMOCKA IMPORTED_TARGET cmocka)
  if(NOT CMOCKA_FOUND)
    message(STATUS "No tests: cmocka is missing (tools/deps test installs it)")
    set(MISSIVE_TESTS OFF)
  endif()
endif()
