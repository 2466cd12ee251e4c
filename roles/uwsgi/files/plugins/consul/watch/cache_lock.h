/* SPDX-License-Identifier: BSD-2-Clause
 * The lock of a cache, such that neither the death of whoever holds it nor ours while we do leaves others waiting for ever. */
#ifndef CONSUL_CACHE_LOCK_H
#define CONSUL_CACHE_LOCK_H

#include <stdbool.h>
#include <sys/types.h>

struct uwsgi_cache;

/* False: somebody has it and does not let go. Then it is also for the next seconds, at once; the log has a line when that begins, and when it ends. */
bool consul_cache_lock_to_read(struct uwsgi_cache *cache);
bool consul_cache_lock_to_write(struct uwsgi_cache *cache);

void consul_cache_unlock(struct uwsgi_cache *cache);

/* From now on this process never waits: it is about to end. */
void consul_cache_lock_hurry(void);

/* Who frees the lock when this process is killed while it holds it: the one in which the core looks for locks of the dead. */
void consul_cache_set_heir(pid_t heir);

#endif
