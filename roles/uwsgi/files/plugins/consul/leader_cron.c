/* SPDX-License-Identifier: BSD-2-Clause */
#include "core.h"
#include "leader_cron.h"

#include <inttypes.h>

#include "config.h"
#include "leader.h"
#include "memory.h"

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

static void add(const struct consul_list *crons, uint8_t unique)
{
	for (size_t i = 0; i < crons->count; i++) {
		struct uwsgi_cron *cron = uwsgi_cron_add(crons->items[i]);
		cron->unique = unique;
		cron->func = run_if_leader;
	}
}

void consul_leader_cron_add(const struct consul_election_config *election)
{
	add(&election->crons, 0);
	add(&election->unique_crons, 1);
}
