/*
 * Intrusive containers, kept by others: red-black trees from libbsd and linked lists from the C
 * library. Included through this file so that there is one place to look for what is used.
 */
#ifndef BASE_TREE_H
#define BASE_TREE_H

#include <bsd/sys/tree.h>
#include <sys/queue.h>

#endif
