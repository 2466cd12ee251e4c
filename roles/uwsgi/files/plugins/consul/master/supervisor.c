/* SPDX-License-Identifier: BSD-2-Clause */
#include "../core.h"
#include "supervisor.h"

#include <poll.h>

#include "../agent/agent_process.h"
#include "../base/clock.h"
#include "../config/config.h"
#include "../election/leader.h"
#include "../election/leader_cron.h"
#include "../watch/change.h"
#include "board.h"
#include "handover.h"

/* An agent process that dies soon, again and again, is started at growing intervals. */
#define RESTART_MS 1000
#define LONGEST_RESTART_MS 60000
#define LIVED_MS 10000

static struct {
	struct consul_config *config;
	struct consul_predecessor *predecessor;
	struct consul_board *board;
	char *ids; /* of the services */
	bool reloaded; /* this program has taken another's place */
	volatile pid_t master; /* a worker that was started late has the master's handlers for a while */
	volatile pid_t child; /* 0: none */
	volatile int leash; /* becomes readable when the child has done all it had to do, or is dead */
	int64_t started;
	int64_t interval; /* from this start to the next one, at least */
	volatile sig_atomic_t stopped; /* never start it again */
	volatile int64_t stop_by; /* how long a stop waits for it, however often it is asked for */
} supervisor = {.leash = -1};

bool consul_supervisor_prepare(struct consul_config *config, struct consul_predecessor *predecessor)
{
	char nonce[CONSUL_NONCE_LENGTH + 1];
	supervisor.ids = consul_config_identity(config);
	bool inherited = predecessor->pid && !strcmp(predecessor->ids, supervisor.ids);
	if (inherited)
		memcpy(nonce, predecessor->nonce, sizeof(nonce));
	else if (!consul_nonce_make(nonce))
		return false;
	supervisor.reloaded = predecessor->pid != 0;
	if (predecessor->crons)
		consul_leader_cron_inherit(predecessor->crons);
	supervisor.config = config;
	supervisor.predecessor = predecessor;
	supervisor.board = consul_board_new(nonce, uwsgi.numproc, (int) config->services_count);
	if (!supervisor.board)
		return false;
	consul_leader_attach(&config->election, &supervisor.board->leader);
	if (inherited && predecessor->leadership)
		consul_leader_inherit(&supervisor.board->leader, predecessor->leadership);
	return true;
}

struct consul_health *consul_supervisor_health(void)
{
	return &supervisor.board->health;
}

static bool child_is_done(int timeout_ms)
{
	struct pollfd poller = {.fd = supervisor.leash, .events = POLLIN};
	return supervisor.leash < 0 || poll(&poller, 1, timeout_ms) > 0;
}

static void forget_child(void)
{
	int leash = supervisor.leash;
	supervisor.child = 0;
	supervisor.leash = -1;
	if (leash >= 0)
		close(leash);
}

static void fork_child(int leash[2])
{
	sigset_t all, before;
	/* The master's handlers must never run in the child. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	if (atomic_load(&supervisor.board->took_over))
		consul_predecessor_clear(supervisor.predecessor);
	/* A stop that came a moment ago found nobody to wait for. */
	pid_t child = supervisor.stopped ? -1 : uwsgi_fork("uWSGI consul agent process");
	if (child == 0)
		consul_agent_process_run(supervisor.config, supervisor.board, supervisor.predecessor, leash[1], supervisor.master);
	if (child > 0) {
		supervisor.child = child;
		supervisor.leash = leash[0];
		consul_log("agent process started (pid %d)", (int) child);
	} else {
		if (!supervisor.stopped)
			uwsgi_error("[consul] fork()");
		close(leash[0]);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
}

static int64_t next_interval(int64_t interval)
{
	if (!interval)
		return RESTART_MS;
	return interval < LONGEST_RESTART_MS / 2 ? interval * 2 : LONGEST_RESTART_MS;
}

static void start_child(void)
{
	int leash[2];
	supervisor.started = consul_now();
	supervisor.interval = next_interval(supervisor.interval);
	supervisor.master = getpid();
	if (pipe2(leash, O_CLOEXEC)) {
		uwsgi_error("[consul] pipe()");
		return;
	}
	fork_child(leash);
	close(leash[1]);
}

void consul_supervisor_watch_status(void)
{
	if (consul_supervisor_is_stopping())
		atomic_store(&supervisor.board->stopping, true);
}

bool consul_supervisor_is_stopping(void)
{
	return uwsgi_instance_is_dying || (uwsgi_instance_is_reloading && uwsgi.exit_on_reload);
}

static void tell_predecessor(void)
{
	if (atomic_exchange(&supervisor.board->relieve, false))
		consul_predecessor_relieve(supervisor.predecessor);
	if (atomic_exchange(&supervisor.board->dismiss, false))
		consul_predecessor_dismiss(supervisor.predecessor);
}

void consul_supervisor_cycle(void)
{
	tell_predecessor();
	consul_board_publish(supervisor.board, consul_supervisor_is_stopping());
	if (consul_supervisor_is_stopping()) {
		consul_supervisor_stop();
		return;
	}
	if (uwsgi_instance_is_reloading || supervisor.stopped)
		return;
	consul_change_act(supervisor.board, supervisor.reloaded);
	if (supervisor.child && child_is_done(0)) {
		consul_log("agent process %d is dead, starting another one", (int) supervisor.child);
		forget_child();
		if (consul_now() - supervisor.started >= LIVED_MS)
			supervisor.interval = 0;
	}
	if (!supervisor.child && consul_now() - supervisor.started >= supervisor.interval)
		start_child();
}

static void tell_child_to_leave(void)
{
	int64_t deadline = consul_now() + supervisor.config->stop_ms + CONSUL_STOP_GRACE_MS;
	supervisor.stop_by = deadline;
	supervisor.stopped = 1;
	/* The pid of one that is done may be another's by now. */
	if (supervisor.child && !child_is_done(0) && kill(supervisor.child, CONSUL_SIGNAL_LEAVE))
		supervisor.stop_by = 0;
}

/* A second signal interrupts the wait of the first, and its handler tells the workers: so it has to wait as well. */
void consul_supervisor_stop(void)
{
	int error = errno;
	if (getpid() != supervisor.master)
		return;
	if (!supervisor.stopped)
		tell_child_to_leave();
	int64_t left = supervisor.stop_by - consul_now();
	while (left > 0 && !child_is_done((int) left))
		left = supervisor.stop_by - consul_now();
	errno = error;
}

void consul_supervisor_forget(void)
{
	if (getpid() != supervisor.master)
		forget_child();
}

void consul_supervisor_hand_over(void)
{
	char *leadership = supervisor.child ? consul_leader_hand_over(&supervisor.board->leader) : NULL;
	char *crons = consul_leader_cron_hand_over();
	atomic_store(&supervisor.board->mode, CONSUL_RELOADING);
	atomic_store(&supervisor.board->replaced, true);
	if (supervisor.child)
		consul_handover_leave(supervisor.child, supervisor.board->nonce, leadership, supervisor.ids);
	if (crons)
		consul_handover_leave_crons(crons);
	free(leadership);
	free(crons);
}
