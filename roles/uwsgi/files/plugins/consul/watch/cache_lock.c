/* SPDX-License-Identifier: BSD-2-Clause */
#include "../core.h"
#include "cache_lock.h"

#include <poll.h>
#include <sys/syscall.h>

#include "../base/clock.h"

/* Readers need microseconds, and writers a millisecond for 5 MB. */
#define PATIENCE_MS 1000
#define BETWEEN_TRIES_MS 1

/* Who did not let go in that time rarely does soon, and all else that this process does must not wait with it: so for some time nobody tries, and the
 * tries after that are short. */
#define PAUSE_MS 5000
#define LATER_PATIENCE_MS 50

static pid_t heir;

void consul_cache_set_heir(pid_t pid)
{
	heir = pid;
}

#if defined(UWSGI_LOCK_USE_MUTEX) && defined(__GLIBC__) && __GLIBC_PREREQ(2, 30)

typedef int (*attempt)(pthread_rwlock_t *);

static attempt stuck; /* what was tried in vain, and the log says so; or NULL */
static int64_t next_try;
static bool hurried;

void consul_cache_lock_hurry(void)
{
	hurried = true;
}

/* The core's own kind of lock, and none that the user has chosen in its place. (On old kernels it makes mutexes, which are smaller.) */
static pthread_rwlock_t *native_lock(const struct uwsgi_cache *cache)
{
	return !uwsgi.lock_engine && uwsgi.rwlock_size == sizeof(pthread_rwlock_t) ? cache->lock->lock_ptr : NULL;
}

/* Who waits for such a lock stands in it already, with nothing that tells who it is: killed then, it would be handed the lock by the last reader, and
 * nobody ever frees it. Nor can the master wait for one that is held in its name. So we only try, and wait between. */
static bool take_until(pthread_rwlock_t *native, attempt take, int64_t until)
{
	bool taken = !take(native);
	for (; !taken && consul_now() < until; taken = !take(native))
		poll(NULL, 0, BETWEEN_TRIES_MS);
	return taken;
}

static void note_failure(const struct uwsgi_cache *cache, attempt take)
{
	next_try = consul_now() + PAUSE_MS;
	if (!stuck)
		consul_log("cache %s: a process has locked it and does not let go: what is watched can't be stored", cache->name);
	stuck = take;
}

/* That others read beside a reader says nothing to who wants to write. */
static void note_success(const struct uwsgi_cache *cache, attempt take)
{
	if (stuck == take || (stuck && take == pthread_rwlock_trywrlock)) {
		consul_log("cache %s: its lock is free again", cache->name);
		stuck = NULL;
	}
}

static bool take_in_time(const struct uwsgi_cache *cache, pthread_rwlock_t *native, attempt take)
{
	int64_t now = consul_now();
	/* Who leaves does not wait, and so has no need of a pause either. */
	if (hurried)
		return take_until(native, take, now);
	if (stuck && now < next_try)
		return false;
	bool taken = take_until(native, take, now + (stuck ? LATER_PATIENCE_MS : PATIENCE_MS));
	(taken ? note_success : note_failure)(cache, take);
	return taken;
}

bool consul_cache_lock_to_read(struct uwsgi_cache *cache)
{
	pthread_rwlock_t *native = native_lock(cache);
	if (!native)
		uwsgi_rlock(cache->lock);
	else if (!take_in_time(cache, native, pthread_rwlock_tryrdlock))
		return false;
	cache->lock->pid = uwsgi.mypid;
	return true;
}

/* Only the thread that took a lock to write can free it: anybody else's attempt frees a reader's. So the core's search for locks of the dead, which the
 * master makes, would leave all readers waiting for ever. While we hold the lock, it is in the name of the master. */
bool consul_cache_lock_to_write(struct uwsgi_cache *cache)
{
	pthread_rwlock_t *native = native_lock(cache);
	if (!native)
		uwsgi_wlock(cache->lock);
	else if (!take_in_time(cache, native, pthread_rwlock_trywrlock))
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

void consul_cache_lock_hurry(void)
{
}

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
