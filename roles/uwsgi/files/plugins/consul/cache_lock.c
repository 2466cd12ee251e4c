/* SPDX-License-Identifier: BSD-2-Clause */
#include "core.h"
#include "cache_lock.h"

#include <sys/syscall.h>

/* Readers need microseconds, and writers a millisecond for 5 MB. */
#define PATIENCE_S 1

static pid_t heir;

void consul_cache_set_heir(pid_t pid)
{
	heir = pid;
}

#if defined(UWSGI_LOCK_USE_MUTEX) && defined(__GLIBC__) && __GLIBC_PREREQ(2, 30)

/* The core's own kind of lock, and none that the user has chosen in its place. (On old kernels it makes mutexes, which are smaller.) */
static pthread_rwlock_t *native_lock(const struct uwsgi_cache *cache)
{
	return !uwsgi.lock_engine && uwsgi.rwlock_size == sizeof(pthread_rwlock_t) ? cache->lock->lock_ptr : NULL;
}

static struct timespec deadline(void)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += PATIENCE_S;
	return at;
}

bool consul_cache_lock_to_read(struct uwsgi_cache *cache)
{
	pthread_rwlock_t *native = native_lock(cache);
	struct timespec until = deadline();
	if (!native)
		uwsgi_rlock(cache->lock);
	else if (pthread_rwlock_clockrdlock(native, CLOCK_MONOTONIC, &until))
		return false;
	cache->lock->pid = uwsgi.mypid;
	return true;
}

/* Only the thread that took a lock to write can free it: anybody else's attempt frees a reader's. So the core's search for locks of the dead, which the
 * master makes, would leave all readers waiting for ever. While we hold the lock, it is in the name of the master. */
bool consul_cache_lock_to_write(struct uwsgi_cache *cache)
{
	pthread_rwlock_t *native = native_lock(cache);
	struct timespec until = deadline();
	if (!native)
		uwsgi_wlock(cache->lock);
	else if (pthread_rwlock_clockwrlock(native, CLOCK_MONOTONIC, &until))
		return false;
	if (native && heir)
		native->__data.__cur_writer = heir;
	cache->lock->pid = uwsgi.mypid;
	return true;
}

void consul_cache_unlock(struct uwsgi_cache *cache)
{
	pthread_rwlock_t *native = native_lock(cache);
	if (native && heir && native->__data.__cur_writer == heir)
		native->__data.__cur_writer = (int) syscall(SYS_gettid);
	uwsgi_rwunlock(cache->lock);
}

#else

bool consul_cache_lock_to_read(struct uwsgi_cache *cache)
{
	uwsgi_rlock(cache->lock);
	return true;
}

bool consul_cache_lock_to_write(struct uwsgi_cache *cache)
{
	uwsgi_wlock(cache->lock);
	return true;
}

void consul_cache_unlock(struct uwsgi_cache *cache)
{
	uwsgi_rwunlock(cache->lock);
}

#endif
