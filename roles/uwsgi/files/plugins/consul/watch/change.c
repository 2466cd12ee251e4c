/* SPDX-License-Identifier: BSD-2-Clause */
#include "../core.h"
#include "change.h"

#include "../base/clock.h"
#include "../config/config.h"
#include "../master/board.h"

/* What changes all the time must not reload all the time. */
#define BETWEEN_RELOADS_MS 10000

static void touch(const char *key, const char *path)
{
	int descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0644);
	if (descriptor < 0 || futimens(descriptor, NULL))
		consul_log("%s has changed, but %s can't be touched: %s", key, path, strerror(errno));
	else
		consul_log("%s has changed, %s is touched", key, path);
	if (descriptor >= 0)
		close(descriptor);
}

void consul_change_happened(const struct consul_watch_config *config, const char *key, struct consul_board *board)
{
	switch (config->action) {
	case CONSUL_CHANGE_RELOAD:
		/* Several changes before the master acts are one reload. */
		if (!atomic_exchange(&board->reload_wanted, true))
			consul_log("%s has changed, the instance will be reloaded", key);
		break;
	case CONSUL_CHANGE_TOUCH:
		touch(key, config->touched);
		break;
	case CONSUL_CHANGE_SIGNAL:
		consul_log("%s has changed, signal %d is raised", key, config->signum);
		atomic_fetch_or(&board->signals[config->signum / 64], UINT64_C(1) << (config->signum % 64));
		break;
	default:
		break;
	}
}

static void raise_signals(struct consul_board *board)
{
	for (int i = 0; i < CONSUL_SIGNALS; i++) {
		uint64_t bit = UINT64_C(1) << (i % 64);
		if ((atomic_load(&board->signals[i / 64]) & bit) && (atomic_fetch_and(&board->signals[i / 64], ~bit) & bit))
			uwsgi_route_signal((uint8_t) i);
	}
}

/* A worker that does not accept yet may miss that it is told to end. Also: a reload of workers that keeps the master, one by one or (in lazy mode)
 * all together. */
static bool workers_are_starting(const struct consul_board *board)
{
	for (int i = 1; i <= board->workers; i++) {
		const struct uwsgi_worker *worker = &uwsgi.workers[i];
		if (!worker->cheaped && (worker->cursed_at || (worker->pid > 0 && !worker->accepting)))
			return true;
	}
	return false;
}

static void announce(int64_t left)
{
	static int64_t announced; /* as much was left when the log said so; it only gets less until it is over */
	if (left > announced)
		consul_log("the reload follows in %lld.%lld s, since two are at least %d s apart", (long long) left / 1000, (long long) left % 1000 / 100,
			   BETWEEN_RELOADS_MS / 1000);
	announced = left;
}

/* Workers that never get ready may be what the change is the cure for. */
static void reload(struct consul_board *board, int64_t *next, int64_t now)
{
	static int64_t wanted_since;
	if (!wanted_since)
		wanted_since = now;
	if (workers_are_starting(board) && now - wanted_since < BETWEEN_RELOADS_MS)
		return;
	wanted_since = 0;
	*next = now + BETWEEN_RELOADS_MS;
	atomic_store(&board->reload_wanted, false);
	raise(SIGHUP); /* whatever stands behind it by now */
}

void consul_change_act(struct consul_board *board, bool reloaded)
{
	static int64_t next;
	int64_t now = consul_now();
	if (uwsgi_instance_is_reloading || uwsgi_instance_is_dying)
		return;
	raise_signals(board);
	if (!next)
		next = reloaded ? now + BETWEEN_RELOADS_MS : now;
	if (!atomic_load(&board->reload_wanted))
		return;
	announce(next > now ? next - now : 0);
	if (now >= next)
		reload(board, &next, now);
}
