/* SPDX-License-Identifier: BSD-2-Clause */
#include "core.h"
#include "liveness.h"

#include "board.h"
#include "config.h"
#include "memory.h"
#include "workers.h"

/* How long another state must last before it counts: what is over sooner is not worth a change in everybody's catalog. */
#define CRITICAL_AFTER_MS 200
#define OTHER_AFTER_MS 800

struct consul_liveness {
	const struct consul_config *config;
	struct consul_board *board;
	struct consul_workers *workers;
	bool wants_app;
	bool looked;
	struct consul_verdict verdict;
	enum consul_state settled; /* of the workers */
	enum consul_state candidate; /* what is seen since `candidate_since` */
	int64_t candidate_since;
};

/* Was an app asked for by one of the options whose apps the core counts? Then an instance without any has failed to load it. */
static bool app_is_configured(void)
{
	static const char *const loaders[] = {"module", "wsgi", "wsgi-file", "file", "eval", "mount", "paste", "ini-paste", "ini-paste-logged",
					      "pecan", "web3", "pump", "wsgi-lite", "psgi", "rack", "rails"};
	for (int i = 0; i < uwsgi.exported_opts_cnt; i++)
		for (size_t j = 0; j < sizeof(loaders) / sizeof(loaders[0]); j++)
			if (!strcmp(uwsgi.exported_opts[i]->key, loaders[j]))
				return true;
	return false;
}

struct consul_liveness *consul_liveness_new(const struct consul_config *config, struct consul_board *board, struct consul_workers *workers)
{
	struct consul_liveness *liveness = consul_allocate(1, sizeof(*liveness));
	liveness->config = config;
	liveness->board = board;
	liveness->workers = workers;
	liveness->wants_app = app_is_configured();
	return liveness;
}

void consul_liveness_free(struct consul_liveness *liveness)
{
	free(liveness);
}

static enum consul_state judge(const struct consul_liveness *liveness, const struct consul_count *count, const char **because)
{
	*because = "";
	if (uwsgi.workers[0].suspended) {
		*because = ", suspended";
		return liveness->config->suspended;
	}
	if (!count->expected) {
		*because = liveness->board->workers ? ", idle: they start on demand" : "";
		return CONSUL_PASSING;
	}
	if (count->failing)
		*because = ", they die before they accept";
	if (!count->ready)
		return count->restarting ? CONSUL_PASSING : CONSUL_CRITICAL;
	if (liveness->wants_app && !count->apps) {
		*because = ", but no app is loaded";
		return CONSUL_CRITICAL;
	}
	if (liveness->config->backlog && uwsgi.shared->backlog >= (uint64_t) liveness->config->backlog) {
		*because = ", which is too long";
		return CONSUL_WARNING;
	}
	return count->full == count->ready ? CONSUL_WARNING : CONSUL_PASSING;
}

static void describe(char *note, size_t size, const struct consul_count *count, const char *because)
{
	char restarting[32] = "";
	if (count->restarting)
		snprintf(restarting, sizeof(restarting), ", %d restarting", count->restarting);
	snprintf(note, size, "%d/%d workers ready, %d busy%s, backlog %llu%s", count->ready, count->expected, count->busy, restarting,
		 (unsigned long long) uwsgi.shared->backlog, because);
}

static int64_t settling_time(enum consul_state from, enum consul_state to)
{
	if (to == CONSUL_CRITICAL)
		return CRITICAL_AFTER_MS;
	return from == CONSUL_CRITICAL ? 0 : OTHER_AFTER_MS;
}

static void settle(struct consul_liveness *liveness, enum consul_state seen, int64_t now)
{
	if (!liveness->looked || seen == liveness->settled) {
		liveness->settled = liveness->candidate = seen;
		liveness->looked = true;
		return;
	}
	if (seen != liveness->candidate) {
		liveness->candidate = seen;
		liveness->candidate_since = now;
	}
	if (now - liveness->candidate_since >= settling_time(liveness->settled, seen))
		liveness->settled = seen;
}

/* The worse of both counts. What the app says of itself is meant, and needs no time to settle. */
static void add_health(struct consul_liveness *liveness, int64_t now)
{
	struct consul_verdict *verdict = &liveness->verdict;
	enum consul_state state;
	char note[CONSUL_NOTE_LENGTH];
	verdict->state = liveness->settled;
	if (!consul_health_read(&liveness->board->health, now, &state, note))
		return;
	if (state > verdict->state)
		verdict->state = state;
	size_t length = strlen(verdict->note);
	snprintf(verdict->note + length, sizeof(verdict->note) - length, "; app: %s%s%s", consul_state_name(state), *note ? ", " : "", note);
}

const struct consul_verdict *consul_liveness_look(struct consul_liveness *liveness, int64_t now)
{
	struct consul_verdict *verdict = &liveness->verdict;
	if (atomic_load(&liveness->board->mode) == CONSUL_RELOADING) {
		/* The old workers leave and the new ones come: the state stays what it was. */
		snprintf(verdict->note, sizeof(verdict->note), "reloading");
		verdict->complete = verdict->failing = false;
	} else {
		struct consul_count count = consul_workers_count(liveness->workers, now);
		const char *because;
		settle(liveness, judge(liveness, &count, &because), now);
		describe(verdict->note, CONSUL_NOTE_LENGTH, &count, because);
		verdict->complete = count.ready == count.expected;
		verdict->failing = count.failing;
	}
	add_health(liveness, now);
	return verdict;
}
