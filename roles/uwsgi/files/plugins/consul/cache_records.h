/* SPDX-License-Identifier: BSD-2-Clause
 * Items of the cache as they stand in a file: both lengths in the order of bytes of this machine, then key and text. */
#ifndef CONSUL_CACHE_RECORDS_H
#define CONSUL_CACHE_RECORDS_H

#include <stdbool.h>

#include "text.h"

void consul_record_write(struct consul_text *file, const char *key, size_t key_length, const char *text, size_t length);

typedef void (*consul_record)(void *context, const char *key, const char *text, size_t length);

/* Calls `each` for the records one after the other; false when they don't end where the file does. */
bool consul_records_read(const char *file, size_t size, consul_record each, void *context);

#endif
