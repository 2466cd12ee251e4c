/* SPDX-License-Identifier: BSD-2-Clause */
#include "core.h"
#include "workers.h"

#include <poll.h>
#include <sys/syscall.h>

#include "board.h"
#include "memory.h"

/* A worker that was told to start again counts as on its way for this long. */
#define RESTART_MS 60000

/* A worker that died so often without ever accepting is not on its way. */
#define FAILURES 2

struct watch {
	pid_t pid; /* whom it watches, 0: nobody */
	int descriptor; /* -1 when it can't be watched or is dead */
	bool dead;
	bool was_ready;
	int failures; /* deaths in a row before it was ready */
	int64_t restarting_since; /* 0: not restarting */
};

struct consul_workers {
	struct consul_board *board;
	struct watch *watches; /* by worker id, from 1 */
};

struct consul_workers *consul_workers_new(struct consul_board *board)
{
	struct consul_workers *workers = consul_allocate(1, sizeof(*workers));
	workers->board = board;
	workers->watches = consul_allocate((size_t) board->workers + 1, sizeof(*workers->watches));
	for (int i = 0; i <= board->workers; i++)
		workers->watches[i].descriptor = -1;
	return workers;
}

static void release(struct watch *watch)
{
	if (watch->descriptor >= 0)
		close(watch->descriptor);
	watch->descriptor = -1;
}

void consul_workers_free(struct consul_workers *workers)
{
	for (int i = 0; i <= workers->board->workers; i++)
		release(&workers->watches[i]);
	free(workers->watches);
	free(workers);
}

static int open_process(pid_t pid)
{
#ifdef SYS_pidfd_open
	return (int) syscall(SYS_pidfd_open, pid, 0);
#else
	(void) pid;
	errno = ENOSYS;
	return -1;
#endif
}

static void look_at(struct watch *watch, pid_t pid)
{
	if (watch->pid == pid)
		return;
	release(watch);
	if (watch->pid > 0 && !watch->was_ready)
		watch->failures++;
	watch->pid = pid;
	watch->dead = false;
	watch->was_ready = false;
	if (pid <= 0)
		return;
	watch->descriptor = open_process(pid);
	/* A kernel without pidfds leaves us with the core's table, which is a second behind. */
	watch->dead = watch->descriptor < 0 && errno == ESRCH;
}

/* A zombie is dead, although its pid still stands in the table until the master has looked. */
static bool is_dead(struct watch *watch)
{
	struct pollfd poller = {.fd = watch->descriptor, .events = POLLIN};
	if (watch->descriptor >= 0 && poll(&poller, 1, 0) > 0) {
		watch->dead = true;
		release(watch);
	}
	return watch->dead;
}

/* Takes note of whether it is ready, and tells whether it is on its way. */
static bool is_restarting(struct consul_workers *workers, int id, bool ready, int64_t now)
{
	struct watch *watch = &workers->watches[id];
	_Atomic bool *told = &workers->board->restarting[id];
	if (ready) {
		atomic_store(told, false);
		watch->was_ready = true;
		watch->failures = 0;
	}
	if (ready || watch->failures >= FAILURES || !(atomic_load(told) || uwsgi.workers[id].cursed_at)) {
		watch->restarting_since = 0;
		return false;
	}
	if (!watch->restarting_since)
		watch->restarting_since = now;
	return now - watch->restarting_since < RESTART_MS;
}

static bool is_full(const struct uwsgi_worker *worker)
{
	for (int i = 0; i < uwsgi.cores; i++)
		if (!worker->cores[i].in_request)
			return false;
	return true;
}

struct consul_count consul_workers_count(struct consul_workers *workers, int64_t now)
{
	struct consul_count count = {0};
	for (int i = 1; i <= workers->board->workers; i++) {
		const struct uwsgi_worker *worker = &uwsgi.workers[i];
		struct watch *watch = &workers->watches[i];
		look_at(watch, worker->pid);
		bool ready = worker->pid > 0 && !is_dead(watch) && worker->accepting && !worker->cursed_at && !worker->suspended;
		bool restarting = is_restarting(workers, i, ready, now);
		if (worker->cheaped)
			continue;
		count.expected++;
		count.ready += ready;
		count.busy += ready && uwsgi_worker_is_busy(i);
		count.full += ready && is_full(worker);
		count.restarting += restarting;
		count.failing |= watch->failures >= FAILURES;
		count.apps += ready ? worker->apps_cnt : 0;
	}
	count.failing &= !count.ready;
	return count;
}

unsigned consul_workers_descriptors(const struct consul_workers *workers, struct curl_waitfd *descriptors, unsigned most)
{
	unsigned count = 0;
	for (int i = 1; i <= workers->board->workers && count < most; i++)
		if (workers->watches[i].descriptor >= 0)
			descriptors[count++] = (struct curl_waitfd){.fd = workers->watches[i].descriptor, .events = CURL_WAIT_POLLIN};
	return count;
}
