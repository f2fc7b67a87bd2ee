/*
 * Intrusive containers, kept by others: red-black trees from libbsd and linked lists from the C
 * library. Included through this file so that there is one place to look for what is used.
 */
#ifndef BASE_TREE_H
#define BASE_TREE_H

#include <bsd/sys/tree.h>
#include <sys/queue.h>

/*
 * Makes the functions of a tree for one .c file. In place of RB_GENERATE_STATIC, which needs a
 * macro named __unused: defining that breaks kernel headers.
 */
#define BASE_TREE_GENERATE(name, type, field, compare) \
    RB_GENERATE_INTERNAL(name, type, field, compare, __attribute__((unused)) static)

#endif
