/*
 * The one include with which every test begins: cmocka and the headers that it needs before it.
 * Helpers of any kind live in files of their own beside this one.
 */
#ifndef SUPPORT_TEST_H
#define SUPPORT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
