/* SPDX-License-Identifier: BSD-2-Clause */
#include "core.h"
#include "change.h"

#include "board.h"
#include "clock.h"
#include "config.h"

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
			consul_log("%s has changed, the instance is reloaded", key);
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

/* A reload of workers that keeps the master, one by one or (in lazy mode) all together. */
static bool workers_are_restarting(const struct consul_board *board)
{
	for (int i = 1; i <= board->workers; i++)
		if (uwsgi.workers[i].cursed_at && !uwsgi.workers[i].cheaped)
			return true;
	return false;
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
	if (now < next || workers_are_restarting(board) || !atomic_exchange(&board->reload_wanted, false))
		return;
	next = now + BETWEEN_RELOADS_MS;
	raise(SIGHUP); /* whatever stands behind it by now */
}
