/* SPDX-License-Identifier: BSD-2-Clause */
#include "watches.h"

#include <malloc.h>
#include <stdlib.h>

#include "../base/log.h"
#include "../base/memory.h"
#include "../client/client.h"
#include "../config/config.h"
#include "probe.h"
#include "watch.h"

struct consul_watches {
	struct consul_watching watching;
	bool stopped;
	bool told_away; /* the log says so */
	size_t count;
	struct consul_watch *items[];
};

struct consul_watches *consul_watches_new(const struct consul_config *config, struct consul_client *client, struct uwsgi_cache *cache,
					  struct consul_board *board, long patience_ms)
{
	struct consul_watches *watches = consul_allocate(1, sizeof(*watches) + config->watches_count * sizeof(watches->items[0]));
	watches->watching.client = client;
	watches->watching.cache = cache;
	watches->watching.board = board;
	watches->stopped = !config->watches_count;
	if (watches->stopped)
		return watches;
	watches->watching.probe = consul_probe_new(client, cache, patience_ms);
	watches->count = config->watches_count;
	for (size_t i = 0; i < watches->count; i++)
		watches->items[i] = consul_watch_new(&watches->watching, &config->watches[i]);
	return watches;
}

void consul_watches_stop(struct consul_watches *watches)
{
	for (size_t i = 0; i < watches->count; i++)
		consul_watch_free(watches->items[i]);
	watches->count = 0;
	if (watches->watching.probe)
		consul_probe_free(watches->watching.probe);
	watches->watching.probe = NULL;
	watches->stopped = true;
}

void consul_watches_free(struct consul_watches *watches)
{
	consul_watches_stop(watches);
	free(watches->watching.trouble);
	free(watches);
}

/* One line for all watches. */
static void log_contact(struct consul_watches *watches)
{
	bool away = consul_client_contact(watches->watching.client)->away;
	const char *trouble = consul_probe_trouble(watches->watching.probe);
	/* Another's request may have found out first; why, the probe knows in a moment. */
	if (away == watches->told_away || !watches->watching.board || (away && !*trouble))
		return;
	watches->told_away = away;
	if (away)
		consul_log("watches: %s; what is known stays in the cache", trouble);
	else
		consul_log("watches: Consul answers again");
}

void consul_watches_tick(struct consul_watches *watches, int64_t now)
{
	if (watches->stopped)
		return;
	for (size_t i = 0; i < watches->count; i++)
		consul_watch_tick(watches->items[i], now);
	consul_probe_tick(watches->watching.probe, now);
	log_contact(watches);
	/* Not before: until now the answer itself was there. */
	if (watches->watching.large)
		malloc_trim(0);
	watches->watching.large = false;
}

int64_t consul_watches_due(const struct consul_watches *watches)
{
	if (watches->stopped)
		return INT64_MAX;
	int64_t first = consul_probe_due(watches->watching.probe);
	for (size_t i = 0; i < watches->count; i++) {
		int64_t due = consul_watch_due(watches->items[i]);
		if (due < first)
			first = due;
	}
	return first;
}

bool consul_watches_are_settled(const struct consul_watches *watches)
{
	bool away = consul_client_contact(watches->watching.client)->away;
	for (size_t i = 0; i < watches->count; i++)
		if (!consul_watch_is_settled(watches->items[i]) && !(away && consul_watch_is_there(watches->items[i])))
			return false;
	return true;
}

char *consul_watches_missing(const struct consul_watches *watches)
{
	char *names = NULL;
	for (size_t i = 0; i < watches->count; i++) {
		if (consul_watch_is_there(watches->items[i]))
			continue;
		char *longer = consul_format("%s%s%s", names ? names : "", names ? ", " : "", consul_watch_name(watches->items[i]));
		free(names);
		names = longer;
	}
	return names;
}

const char *consul_watches_reason(const struct consul_watches *watches)
{
	for (size_t i = 0; i < watches->count; i++) {
		const char *reason = consul_watch_reason(watches->items[i]);
		if (*reason && !consul_watch_is_there(watches->items[i]))
			return reason;
	}
	return watches->watching.probe ? consul_probe_trouble(watches->watching.probe) : "";
}
