/* SPDX-License-Identifier: BSD-2-Clause */
#include "../core.h"
#include "agent_process.h"

#include <sys/signalfd.h>

#include "../base/clock.h"
#include "../base/memory.h"
#include "../client/client.h"
#include "../config/config.h"
#include "../election/candidate.h"
#include "../election/election.h"
#include "../master/board.h"
#include "../master/handover.h"
#include "../service/liveness.h"
#include "../service/registration.h"
#include "../service/services.h"
#include "../service/workers.h"
#include "../watch/cache.h"
#include "../watch/cache_lock.h"
#include "../watch/watches.h"
#include "process_setup.h"

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
	struct consul_candidate candidate;
	struct consul_election *election;
	struct uwsgi_cache *cache; /* NULL: nobody asked for any */
	struct consul_watches *watches;
	struct curl_waitfd *descriptors;
	int64_t replaced_since; /* 0: it was not */
	bool leaving; /* the election first, then the services */
	bool services_leave;
	bool claims; /* the predecessor's registrations are ours */
	bool relieved; /* another process speaks for the services */
	int64_t end_by; /* INT64_MAX: nobody waits for us */
	bool ended;
};

static bool publish_election(void *cache, const char *key, const char *item)
{
	enum consul_cache_result result = consul_cache_set(cache, key, item, strlen(item));
	if (result == CONSUL_CACHE_LOCKED)
		return false;
	if (result != CONSUL_CACHE_SAME && result != CONSUL_CACHE_STORED)
		consul_cache_log_refusal(cache, result, key, strlen(item), 1);
	return true;
}

static bool agent_open(struct agent *agent)
{
	agent->signals = consul_signal_descriptor(CONSUL_SIGNAL_LEAVE, CONSUL_SIGNAL_RELIEVED);
	/* One connection is all that exchanges one after the other need; a second is the next agent's. Each watch has one of its own. */
	agent->http = agent->signals < 0 ? NULL : consul_http_new(2 + (long) agent->config->watches_count);
	if (!agent->http) {
		consul_log("the agent process could not be set up");
		return false;
	}
	agent->ids = consul_config_identity(agent->config);
	agent->client = consul_client_new(agent->http, &agent->config->connection);
	agent->workers = consul_workers_new(agent->board);
	agent->liveness = consul_liveness_new(agent->config, agent->board, agent->workers);
	agent->services = consul_services_new(agent->config, agent->http, agent->client, &agent->identity, agent->board->present);
	agent->candidate = (struct consul_candidate){agent->board->nonce, uwsgi.hostname, agent->identity.master};
	agent->election = consul_election_new(agent->config, agent->client, &agent->candidate, &agent->board->leader, publish_election, agent->cache);
	agent->watches = consul_watches_new(agent->config, agent->client, agent->cache, agent->board, consul_client_patience(agent->client));
	agent->descriptors = consul_allocate((size_t) agent->board->workers + 1, sizeof(*agent->descriptors));
	return true;
}

static void agent_close(struct agent *agent)
{
	consul_election_free(agent->election);
	consul_watches_free(agent->watches);
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

/* With master-as-root and another uid since the reload only the master may. */
static void relieve_predecessor(struct agent *agent)
{
	if (!consul_predecessor_relieve(agent->predecessor))
		atomic_store(&agent->board->relieve, true);
}

static void dismiss_predecessor(struct agent *agent)
{
	if (!consul_predecessor_dismiss(agent->predecessor))
		atomic_store(&agent->board->dismiss, true);
}

/* A predecessor that was not told yet ends with us. With other services than ours it takes those out of Consul that we do not have. */
static void end_predecessor(struct agent *agent)
{
	(has_same_services(agent) ? relieve_predecessor : dismiss_predecessor)(agent);
}

/* The predecessor's registrations, if they carry our ids, are ours to take back. Leadership goes first: without the service Consul would end the
 * session, and keep others from the key for the lock-delay. */
static void leave(struct agent *agent)
{
	if (agent->relieved && agent->end_by == INT64_MAX)
		agent->end_by = consul_now() + agent->config->stop_ms;
	if (agent->leaving || agent->relieved)
		return;
	agent->leaving = true;
	agent->claims = has_same_services(agent);
	agent->end_by = consul_now() + agent->config->stop_ms;
	consul_watches_stop(agent->watches);
	consul_cache_lock_hurry();
	end_predecessor(agent);
	consul_election_leave(agent->election, agent->config->stop_ms / 2);
}

/* Whoever takes over from us knows nothing of those before us: after two reloads in a row there still may be one. Nor does it know of the commands
 * that we have to run: they take their time, unless the instance ends. */
static void be_relieved(struct agent *agent)
{
	end_predecessor(agent);
	if (agent->relieved)
		return;
	consul_cache_lock_hurry();
	agent->relieved = true;
	if (!agent->leaving)
		agent->end_by = INT64_MAX;
	consul_election_relieve(agent->election, agent->config->stop_ms / 2);
}

static void read_signals(struct agent *agent)
{
	struct signalfd_siginfo info;
	while (read(agent->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == CONSUL_SIGNAL_RELIEVED)
			be_relieved(agent);
		else
			leave(agent);
	}
}

static void watch_replacement(struct agent *agent, int64_t now)
{
	if (!atomic_load(&agent->board->replaced))
		return;
	if (!agent->replaced_since) {
		agent->replaced_since = now;
		/* Nobody reads our cache any more, and changes are our successor's to act upon. */
		consul_watches_stop(agent->watches);
	}
	if (now - agent->replaced_since >= REPLACED_MS && !agent->leaving && !agent->relieved) {
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
			relieve_predecessor(agent);
			consul_services_inherit(agent->services);
		}
	} else if (consul_services_are_present(agent->services)) {
		dismiss_predecessor(agent);
	}
	atomic_store(&agent->board->took_over, !agent->predecessor->pid);
}

static enum consul_standing standing(const struct agent *agent, const struct consul_verdict *verdict)
{
	if (agent->predecessor->pid)
		return CONSUL_OBSERVE;
	/* Leadership that begins while another program takes our place would not be known to it. */
	if (atomic_load(&agent->board->replaced) && !atomic_load(&agent->board->leader.token))
		return CONSUL_STAND_DOWN;
	return consul_services_are_present(agent->services) && verdict->state != CONSUL_CRITICAL ? CONSUL_STAND : CONSUL_STAND_DOWN;
}

static void go(struct agent *agent, int64_t now)
{
	bool late = now >= agent->end_by;
	if (agent->leaving && !agent->services_leave && (consul_election_left(agent->election) || late)) {
		agent->services_leave = true;
		consul_services_leave(agent->services, agent->claims, late ? 1 : (long) (agent->end_by - now));
	}
	bool left = agent->relieved || (agent->services_leave && consul_services_left(agent->services));
	if (left && (late || (consul_election_left(agent->election) && consul_election_is_quiet(agent->election))))
		agent->ended = true;
}

static void attend(struct agent *agent, int64_t now)
{
	const struct consul_verdict *verdict = consul_liveness_look(agent->liveness, now);
	watch_replacement(agent, now);
	take_over(agent, verdict);
	if (atomic_load(&agent->board->stopping))
		leave(agent);
	consul_election_tick(agent->election, standing(agent, verdict), verdict->note, now);
	if (!agent->relieved)
		consul_services_tick(agent->services, verdict, now);
	consul_watches_tick(agent->watches, now);
	if (agent->leaving || agent->relieved)
		go(agent, now);
	else
		consul_services_publish(agent->services, agent->board->present);
}

static int64_t next_look(const struct agent *agent)
{
	if (agent->relieved)
		return LOOK_MS;
	if (agent->leaving || !consul_services_are_present(agent->services))
		return LOOK_WAITING_MS;
	return LOOK_MS;
}

static void wait_for_more(struct agent *agent, int64_t now)
{
	int64_t timeout = next_look(agent);
	int64_t due = agent->relieved ? INT64_MAX : consul_services_due(agent->services);
	int64_t election_due = consul_election_due(agent->election);
	int64_t watches_due = consul_watches_due(agent->watches);
	/* While the instance reloads nobody asks whether workers have died, which those that have would go on to tell. */
	bool watched = atomic_load(&agent->board->mode) == CONSUL_RUNNING;
	unsigned count = watched ? consul_workers_descriptors(agent->workers, agent->descriptors, (unsigned) agent->board->workers) : 0;
	agent->descriptors[count++] = (struct curl_waitfd){.fd = agent->signals, .events = CURL_WAIT_POLLIN};
	if (election_due < due)
		due = election_due;
	if (watches_due < due)
		due = watches_due;
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
		.cache = uwsgi_cache_by_name(config->cache),
		.identity = {.nonce = board->nonce, .version = UWSGI_VERSION, .mode = mode_of_workers(), .master = (int) master},
	};
	if (!consul_process_setup(&agent.leash, master) || !agent_open(&agent))
		_exit(1);
	consul_cache_set_heir(master);
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
