/* SPDX-License-Identifier: BSD-2-Clause */
#include "../core.h"
#include "leader_cron.h"

#include <inttypes.h>

#include "../base/memory.h"
#include "../config/config.h"
#include "leader.h"

struct run {
	uint64_t hash; /* of the cron's whole text */
	int64_t last; /* when the core saw to it */
	int64_t started;
	pid_t pid; /* -1: it has ended */
};

static struct {
	uint64_t hash;
	struct uwsgi_cron *cron;
} *crons;
static size_t crons_count;

static struct run *inherited; /* in the order of the crons before the reload */
static size_t inherited_count;

static int64_t milliseconds_of_minute(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t) (now.tv_sec % 60) * 1000 + now.tv_nsec / 1000000;
}

/* The core looks at some moment of the minute, on each instance at another one. Whoever became the leader in this minute leaves it alone: the leader
 * before may have done it already. */
static bool is_ours(const struct consul_leadership *leadership)
{
	return leadership->leads && consul_leader_now() - leadership->since >= milliseconds_of_minute();
}

/* Only the master runs this, between two turns of its loop: no process is born with the variables but the command. */
static pid_t run(char *command, const struct consul_leadership *leadership)
{
	char *token = consul_format("%" PRIu64, leadership->token);
	pid_t pid = -1;
	if (setenv("CONSUL_ELECTION", leadership->election, 1) || setenv("CONSUL_ELECTION_TOKEN", token, 1)) {
		uwsgi_error("[consul] setenv()");
	} else {
		pid = uwsgi_run_command(command, NULL, -1);
	}
	unsetenv("CONSUL_ELECTION");
	unsetenv("CONSUL_ELECTION_TOKEN");
	free(token);
	return pid;
}

/* What the core does with a cron that has no function of its own. */
static void run_if_leader(struct uwsgi_cron *cron, time_t now)
{
	struct consul_leadership leadership;
	if (!consul_leader_read(&leadership) || !is_ours(&leadership))
		return;
	pid_t pid = run(cron->command, &leadership);
	if (pid < 0)
		return;
	cron->pid = pid;
	cron->started_at = now;
	if (uwsgi.cron_harakiri)
		cron->harakiri = now + uwsgi.cron_harakiri;
	consul_log("election %s: cron \"%s\" runs (pid %d)", leadership.election, cron->command, (int) pid);
}

/* FNV-1a: 64 bits for a few texts of one's own. */
static uint64_t hash_of(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325;
	for (; *text; text++)
		hash = (hash ^ (unsigned char) *text) * 0x100000001b3;
	return hash;
}

/* Only a child of this very process can be what runs still; its end is told to the core. */
static void go_on(struct uwsgi_cron *cron, const struct run *run)
{
	cron->last_job = (time_t) run->last;
	if (run->pid <= 1 || waitpid(run->pid, NULL, WNOHANG))
		return;
	cron->pid = run->pid;
	cron->started_at = (time_t) run->started;
	if (uwsgi.cron_harakiri)
		cron->harakiri = cron->started_at + uwsgi.cron_harakiri;
}

/* The same text twice is two crons: each run is one's only. */
static void inherit_run(struct uwsgi_cron *cron, uint64_t hash)
{
	for (size_t i = 0; i < inherited_count; i++) {
		if (inherited[i].hash != hash || !inherited[i].last)
			continue;
		go_on(cron, &inherited[i]);
		inherited[i].last = 0;
		return;
	}
}

static void add(const struct consul_list *list, uint8_t unique)
{
	for (size_t i = 0; i < list->count; i++) {
		uint64_t hash = hash_of(list->items[i]);
		struct uwsgi_cron *cron = uwsgi_cron_add(list->items[i]);
		cron->unique = unique;
		cron->func = run_if_leader;
		crons = consul_grow(crons, crons_count + 1, sizeof(*crons));
		crons[crons_count].hash = hash;
		crons[crons_count++].cron = cron;
		inherit_run(cron, hash);
	}
}

void consul_leader_cron_add(const struct consul_election_config *election)
{
	add(&election->crons, 0);
	add(&election->unique_crons, 1);
	free(inherited);
	inherited = NULL;
	inherited_count = 0;
}

char *consul_leader_cron_hand_over(void)
{
	char *text = NULL;
	for (size_t i = 0; i < crons_count; i++) {
		const struct uwsgi_cron *cron = crons[i].cron;
		if (!cron->last_job)
			continue;
		char *longer = consul_format("%s%" PRIx64 " %" PRId64 " %" PRId64 " %d;", text ? text : "", crons[i].hash, (int64_t) cron->last_job,
					     (int64_t) cron->started_at, (int) cron->pid);
		free(text);
		text = longer;
	}
	return text;
}

void consul_leader_cron_inherit(const char *text)
{
	struct run run;
	int length = 0;
	while (sscanf(text, "%" SCNx64 " %" SCNd64 " %" SCNd64 " %d;%n", &run.hash, &run.last, &run.started, &run.pid, &length) == 4 && length) {
		inherited = consul_grow(inherited, inherited_count + 1, sizeof(*inherited));
		inherited[inherited_count++] = run;
		text += length;
		length = 0;
	}
}
