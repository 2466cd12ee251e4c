/* SPDX-License-Identifier: BSD-2-Clause */
#include "core.h"
#include "agent_process.h"

#include <sys/signalfd.h>

#include "board.h"
#include "client.h"
#include "clock.h"
#include "config.h"
#include "handover.h"
#include "liveness.h"
#include "memory.h"
#include "process_setup.h"
#include "registration.h"
#include "services.h"
#include "workers.h"

/* How often the workers' table is looked at: it can't wake anybody up. Their death does, at once. */
#define LOOK_WAITING_MS 50
#define LOOK_MS 200

/* How long a process whose master was replaced waits for its successor before it takes the service out of Consul. */
#define REPLACED_MS 120000

struct agent {
	struct consul_config *config;
	struct consul_board *board;
	struct consul_predecessor *predecessor;
	struct consul_identity identity;
	char *ids; /* of our services */
	int leash;
	int signals;
	struct consul_http *http;
	struct consul_client *client;
	struct consul_workers *workers;
	struct consul_liveness *liveness;
	struct consul_services *services;
	struct curl_waitfd *descriptors;
	int64_t replaced_since; /* 0: it was not */
	bool leaving;
	bool ended;
};

static bool agent_open(struct agent *agent)
{
	agent->signals = consul_signal_descriptor(CONSUL_SIGNAL_LEAVE, CONSUL_SIGNAL_RELIEVED);
	/* One connection is all that exchanges one after the other need; a second is the next agent's. */
	agent->http = agent->signals < 0 ? NULL : consul_http_new(2);
	if (!agent->http) {
		consul_log("the agent process could not be set up");
		return false;
	}
	agent->ids = consul_config_identity(agent->config);
	agent->client = consul_client_new(agent->http, &agent->config->connection);
	agent->workers = consul_workers_new(agent->board);
	agent->liveness = consul_liveness_new(agent->config, agent->board, agent->workers);
	agent->services = consul_services_new(agent->config, agent->http, agent->client, &agent->identity, agent->board->present);
	agent->descriptors = consul_allocate((size_t) agent->board->workers + 1, sizeof(*agent->descriptors));
	return true;
}

static void agent_close(struct agent *agent)
{
	consul_services_free(agent->services);
	consul_liveness_free(agent->liveness);
	consul_workers_free(agent->workers);
	consul_client_free(agent->client);
	consul_http_free(agent->http);
	consul_predecessor_clear(agent->predecessor);
	consul_config_clear(agent->config);
	free(agent->ids);
	free(agent->descriptors);
	close(agent->signals);
}

static bool has_same_services(const struct agent *agent)
{
	return agent->predecessor->pid && !strcmp(agent->predecessor->ids, agent->ids);
}

/* A predecessor that was not told yet ends with us. With other services than ours it takes those out of Consul that we do not have. */
static void end_predecessor(struct agent *agent)
{
	(has_same_services(agent) ? consul_predecessor_relieve : consul_predecessor_dismiss)(agent->predecessor);
}

/* The predecessor's registrations, if they carry our ids, are ours to take back. */
static void leave(struct agent *agent)
{
	bool inherited = has_same_services(agent);
	if (agent->leaving)
		return;
	agent->leaving = true;
	end_predecessor(agent);
	consul_services_leave(agent->services, inherited, agent->config->stop_ms);
}

/* Whoever takes over from us knows nothing of those before us: after two reloads in a row there still may be one. */
static void end_relieved(struct agent *agent)
{
	end_predecessor(agent);
	agent->ended = true;
}

static void read_signals(struct agent *agent)
{
	struct signalfd_siginfo info;
	while (read(agent->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == CONSUL_SIGNAL_RELIEVED)
			end_relieved(agent);
		else
			leave(agent);
	}
}

static void watch_replacement(struct agent *agent, int64_t now)
{
	if (!atomic_load(&agent->board->replaced))
		return;
	if (!agent->replaced_since)
		agent->replaced_since = now;
	if (now - agent->replaced_since >= REPLACED_MS && !agent->leaving) {
		consul_log("nobody took over since the reload");
		leave(agent);
	}
}

/* Never two that speak for the same service, never a moment without one. */
static void take_over(struct agent *agent, const struct consul_verdict *verdict)
{
	if (!agent->predecessor->pid)
		return;
	if (has_same_services(agent)) {
		if (verdict->complete || verdict->failing) {
			consul_predecessor_relieve(agent->predecessor);
			consul_services_inherit(agent->services);
		}
	} else if (consul_services_are_present(agent->services)) {
		consul_predecessor_dismiss(agent->predecessor);
	}
	atomic_store(&agent->board->took_over, !agent->predecessor->pid);
}

static void attend(struct agent *agent, int64_t now)
{
	const struct consul_verdict *verdict = consul_liveness_look(agent->liveness, now);
	watch_replacement(agent, now);
	take_over(agent, verdict);
	if (atomic_load(&agent->board->stopping))
		leave(agent);
	consul_services_tick(agent->services, verdict, now);
	if (!agent->leaving)
		consul_services_publish(agent->services, agent->board->present);
	else if (consul_services_left(agent->services))
		agent->ended = true;
}

static int64_t next_look(const struct agent *agent)
{
	if (agent->leaving || !consul_services_are_present(agent->services))
		return LOOK_WAITING_MS;
	return LOOK_MS;
}

static void wait_for_more(struct agent *agent, int64_t now)
{
	int64_t timeout = next_look(agent);
	int64_t due = consul_services_due(agent->services);
	unsigned count = consul_workers_descriptors(agent->workers, agent->descriptors, (unsigned) agent->board->workers);
	agent->descriptors[count++] = (struct curl_waitfd){.fd = agent->signals, .events = CURL_WAIT_POLLIN};
	if (due < now + timeout)
		timeout = due > now ? due - now : 0;
	if (!consul_http_wait(agent->http, agent->descriptors, count, (int) timeout)) {
		consul_log("poll() failed, the agent process ends");
		agent->ended = true;
	}
}

static const char *mode_of_workers(void)
{
	if (uwsgi.lazy_apps || uwsgi.lazy)
		return uwsgi.threads > 1 ? "lazy-apps, threads" : "lazy-apps";
	return uwsgi.threads > 1 ? "prefork, threads" : "prefork";
}

void consul_agent_process_run(struct consul_config *config, struct consul_board *board, struct consul_predecessor *predecessor, int leash,
			      pid_t master)
{
	struct agent agent = {
		.config = config,
		.board = board,
		.predecessor = predecessor,
		.leash = leash,
		.identity = {.nonce = board->nonce, .version = UWSGI_VERSION, .mode = mode_of_workers(), .master = (int) master},
	};
	if (!consul_process_setup(&agent.leash, master) || !agent_open(&agent))
		_exit(1);
	srandom((unsigned) getpid() ^ (unsigned) consul_now());
	while (!agent.ended) {
		int64_t now = consul_now();
		read_signals(&agent);
		attend(&agent, now);
		if (!agent.ended)
			wait_for_more(&agent, now);
	}
	close(agent.leash);
	agent_close(&agent);
	_exit(0);
}
