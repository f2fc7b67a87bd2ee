# Libraries from outside, all Debian packages. tools/deps installs them.

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

# src/base wraps bsd/sys/tree.h; headers only, nothing is linked.
pkg_check_modules(LIBBSD REQUIRED libbsd)

# SHA-256 in the command.
pkg_check_modules(LIBCRYPTO REQUIRED IMPORTED_TARGET libcrypto)

if(MISSIVE_TESTS)
  pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
endif()
