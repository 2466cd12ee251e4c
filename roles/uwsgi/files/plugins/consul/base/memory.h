/* SPDX-License-Identifier: BSD-2-Clause
 * Allocation that never returns NULL: a process that has no memory left for a few bytes ends, and its parent starts it again. */
#ifndef CONSUL_MEMORY_H
#define CONSUL_MEMORY_H

#include <stddef.h>

void *consul_allocate(size_t count, size_t size); /* zeroed; the caller frees it */
void *consul_grow(void *block, size_t count, size_t size); /* as realloc */
char *consul_copy(const char *text, size_t length); /* of the first `length` bytes, ended by 0 */
void consul_allocation_failed(void) __attribute__((noreturn)); /* for libraries that answer with NULL */
char *consul_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
