/* SPDX-License-Identifier: BSD-2-Clause */
#include "../core.h"
#include "prefetch.h"

#include <poll.h>

#include "../agent/process_setup.h"
#include "../base/clock.h"
#include "../client/client.h"
#include "../client/http.h"
#include "../config/config.h"
#include "cache_lock.h"
#include "watches.h"

/* How much longer than it should the child may take to say that it has failed. */
#define GRACE_MS 500

static void log_missing(const struct consul_watches *watches, const struct consul_config *config, int64_t began)
{
	char *missing = consul_watches_missing(watches);
	const char *reason = consul_watches_reason(watches);
	if (missing)
		consul_log("the app starts without a usable answer for %s (%lld ms were waited, consul-timeout is %ld ms)%s%s", missing,
			   (long long) (consul_now() - began), config->connection.timeout_ms, *reason ? ": " : "", reason);
	free(missing);
}

static void fetch(struct consul_config *config, struct uwsgi_cache *cache, struct consul_http *http)
{
	int64_t began = consul_now(), now = began, until = began + config->connection.timeout_ms;
	struct consul_client *client = consul_client_new(http, &config->connection);
	struct consul_watches *watches = consul_watches_new(config, client, cache, NULL, config->connection.timeout_ms);
	bool good = true;
	for (; good && now < until && !consul_watches_are_settled(watches); now = consul_now()) {
		consul_watches_tick(watches, now);
		int64_t due = consul_watches_due(watches);
		int64_t next = due < until ? due : until;
		good = consul_http_wait(http, NULL, 0, next > now ? (int) (next - now) : 0);
	}
	consul_watches_tick(watches, now);
	log_missing(watches, config, began);
	consul_watches_free(watches);
	consul_client_free(client);
}

static void run(struct consul_config *config, struct uwsgi_cache *cache, int leash, pid_t parent)
{
	consul_cache_set_heir(parent);
	if (!consul_process_setup(&leash, parent))
		_exit(1);
	srandom((unsigned) getpid() ^ (unsigned) consul_now());
	struct consul_http *http = consul_http_new((long) config->watches_count + 1);
	if (!http)
		_exit(1);
	fetch(config, cache, http);
	consul_http_free(http);
	consul_config_clear(config);
	_exit(0);
}

/* The child closes its end of the pipe when it ends, however it does. */
static void wait_for_end(int descriptor, int64_t until)
{
	struct pollfd poller = {.fd = descriptor, .events = POLLIN};
	int64_t left = until - consul_now();
	while (left > 0 && poll(&poller, 1, (int) left) < 0 && errno == EINTR)
		left = until - consul_now();
}

static void end(pid_t child)
{
	int status = 0;
	kill(child, SIGKILL); /* in vain where it has ended by itself */
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	/* No master looks for locks of the dead yet. */
	uwsgi_deadlock_check(child);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		consul_log("the watches' first answers could not be fetched in time, the app starts with what is in the cache");
}

static pid_t fork_child(struct consul_config *config, struct uwsgi_cache *cache, const int leash[2])
{
	sigset_t all, before;
	pid_t parent = getpid();
	/* A handler of this process must never run in the child. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid_t child = uwsgi_fork("uWSGI consul prefetch");
	if (child == 0)
		run(config, cache, leash[1], parent);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return child;
}

void consul_prefetch(struct consul_config *config, struct uwsgi_cache *cache)
{
	int leash[2];
	if (!config->watches_count)
		return;
	if (pipe2(leash, O_CLOEXEC)) {
		uwsgi_error("[consul] pipe()");
		return;
	}
	int64_t until = consul_now() + config->connection.timeout_ms + GRACE_MS;
	pid_t child = fork_child(config, cache, leash);
	close(leash[1]);
	if (child > 0) {
		wait_for_end(leash[0], until);
		end(child);
	} else {
		uwsgi_error("[consul] fork()");
	}
	close(leash[0]);
}
