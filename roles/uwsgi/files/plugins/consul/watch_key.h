/* SPDX-License-Identifier: BSD-2-Clause
 * Under which keys of the cache a watch is found. */
#ifndef CONSUL_WATCH_KEY_H
#define CONSUL_WATCH_KEY_H

#include <stdbool.h>

struct consul_watch_config;

#define CONSUL_KEY_OF_ENTRY "kv/"
#define CONSUL_KEY_OF_AGENT "agent"

/* `service/web?dc=...&tag=...`, `keys/prefix` or `query/name`, nothing escaped; the caller frees it. */
char *consul_watch_key(const struct consul_watch_config *config);

/* Is this the key of an item of the watch: its own, or that of an entry under its prefix? */
bool consul_watch_has_key(const struct consul_watch_config *config, const char *key);

#endif
