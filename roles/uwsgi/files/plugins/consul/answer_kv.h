/* SPDX-License-Identifier: BSD-2-Clause
 * Entries of Consul's key-value store, made into what apps read. */
#ifndef CONSUL_ANSWER_KV_H
#define CONSUL_ANSWER_KV_H

#include <stdbool.h>

#include "text.h"

/* Gets each entry: its key, and its JSON as it stands in the cache. */
typedef void (*consul_kv_entry)(void *context, const char *key, const struct consul_text *entry);

/* Calls `each` for each entry in the body of /v1/kv/..., and adds `"keys":[...]` to the text; an empty body holds no entry.
 * False, and nothing was called: the body is not what Consul's API promises. */
bool consul_answer_kv(const char *body, size_t length, consul_kv_entry each, void *context, struct consul_text *text);

#endif
