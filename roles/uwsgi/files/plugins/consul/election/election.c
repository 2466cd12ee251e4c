/* SPDX-License-Identifier: BSD-2-Clause */
#include "election.h"

#include <stdlib.h>
#include <string.h>

#include "../base/clock.h"
#include "../base/log.h"
#include "../base/memory.h"
#include "../client/client.h"
#include "../config/config.h"
#include "candidate.h"
#include "commands.h"
#include "election_key.h"
#include "leader.h"
#include "session.h"

#define NEVER INT64_MAX

/* All that wait for the key see at the same moment that it is free, and should not come for it at the same moment. */
#define RUSH_MS 100

/* Consul refuses a free key for the lock-delay. */
#define REFUSED_MS 250

enum retreat { STEADY, SETTLING, RELEASING, ENDING };

struct consul_election {
	const struct consul_config *config;
	struct consul_client *client;
	struct consul_leader *leader; /* its token tells whether this instance has been told that it leads */
	char *subject;
	char *request; /* of a session */
	char *value; /* of the key */
	struct consul_session *session;
	struct consul_key *key;
	struct consul_commands *commands;
	int64_t lease_ms;
	bool adopted; /* what an earlier process of this instance left has been taken up */
	int64_t adopted_by; /* until then it need not be confirmed, on the clock of the leader; 0: it is settled */
	bool free; /* the key, at the last look */
	int64_t try_at;
	enum retreat retreat;
	int64_t settle_by, retreat_by;
	int64_t end_by; /* for what was given more time, when there still was */
	bool leaving;
	bool left;
	int64_t due;
	consul_election_publish publish;
	void *context; /* of that */
	char *published; /* the item, as last told */
};

/* The lease must end before anybody else can have the key. A session can end at any moment after it was confirmed, as its checks fail or an operator
 * destroys it: then the lock-delay, which begins at that moment, keeps others away. If nothing does, it ends after its TTL at the earliest. */
static int64_t lease_basis(const struct consul_election_config *config)
{
	return config->lock_delay_ms && config->lock_delay_ms < config->ttl_ms ? config->lock_delay_ms : config->ttl_ms;
}

/* A service that its agent has lost is registered again within a third of this; the servers know it a moment later. */
static int64_t longest_ttl(const struct consul_config *config)
{
	int64_t longest = 0;
	for (size_t i = 0; i < config->services_count; i++)
		if (config->services[i].ttl_ms > longest)
			longest = config->services[i].ttl_ms;
	return longest;
}

struct consul_election *consul_election_new(const struct consul_config *config, struct consul_client *client, const struct consul_candidate *candidate,
					    struct consul_leader *leader, consul_election_publish publish, void *context)
{
	int64_t basis = lease_basis(&config->election);
	if (!config->election.name)
		return NULL;
	struct consul_election *election = consul_allocate(1, sizeof(*election));
	election->config = config;
	election->client = client;
	election->leader = leader;
	election->subject = consul_format("election %s", config->election.name);
	election->request = consul_candidate_session(config);
	election->value = consul_candidate_value(config, candidate);
	election->session = consul_session_new(client, election->subject, election->request, basis / 3, longest_ttl(config));
	election->key = consul_key_new(client, election->subject, config->election.key);
	election->commands = consul_commands_new(election->subject, config->election.name);
	election->publish = publish;
	election->context = context;
	election->lease_ms = basis - basis / 10; /* clocks do not differ by as much as a tenth */
	return election;
}

void consul_election_free(struct consul_election *election)
{
	if (!election)
		return;
	consul_commands_free(election->commands);
	consul_key_free(election->key);
	consul_session_free(election->session);
	free(election->subject);
	free(election->request);
	free(election->value);
	free(election->published);
	free(election);
}

static uint64_t token_of(const struct consul_election *election)
{
	return atomic_load(&election->leader->token);
}

static bool holds_key(const struct consul_election *election)
{
	const char *id = consul_session_id(election->session);
	return *id && consul_key_known(election->key) && !strcmp(consul_key_holder(election->key), id);
}

static int64_t lease_end(const struct consul_election *election)
{
	int64_t confirmed = consul_session_confirmed(election->session);
	return confirmed ? confirmed + election->lease_ms : 0;
}

static void gain(struct consul_election *election, int64_t until)
{
	uint64_t token = consul_key_modified(election->key);
	consul_leader_begin(election->leader, token, until);
	consul_log("%s: this instance is the leader (token %llu)", election->subject, (unsigned long long) token);
	consul_commands_add(election->commands, &election->config->election.gain, token);
}

static void lose(struct consul_election *election, const char *because)
{
	uint64_t token = token_of(election);
	election->adopted_by = 0;
	if (!token)
		return;
	consul_leader_end(election->leader);
	consul_log("%s: this instance is no longer the leader (token %llu): %s", election->subject, (unsigned long long) token, because);
	consul_commands_add(election->commands, &election->config->election.loss, token);
}

/* An earlier agent process of this instance, before a reload or its own death, was the leader or was about to be. */
static void adopt(struct consul_election *election)
{
	char id[CONSUL_SESSION_SIZE];
	if (election->adopted)
		return;
	election->adopted = true;
	if (consul_leader_session(election->leader, id)) {
		consul_session_adopt(election->session, id);
		election->adopted_by = consul_leader_now() + election->lease_ms;
	} else {
		lose(election, "its session is unknown");
	}
}

/* So that whoever comes after this process finds it. */
static void note_session(struct consul_election *election)
{
	char id[CONSUL_SESSION_SIZE];
	if (!consul_leader_session(election->leader, id))
		*id = 0;
	if (strcmp(id, consul_session_id(election->session)))
		consul_leader_set_session(election->leader, consul_session_id(election->session));
}

static const char *reason(const struct consul_election *election)
{
	if (!*consul_session_id(election->session))
		return "Consul has ended its session";
	if (consul_key_known(election->key) && !holds_key(election))
		return *consul_key_holder(election->key) ? "another one holds the key" : "the key was released or deleted";
	return "Consul did not confirm its session in time";
}

/* Between two processes of this instance it is not known yet whether the session holds the key; the lease of the first one ends by itself. */
static bool is_undecided(const struct consul_election *election)
{
	return *consul_session_id(election->session) && consul_leader_now() < election->adopted_by &&
	       (!consul_key_known(election->key) || (holds_key(election) && !consul_session_confirmed(election->session)));
}

static void judge(struct consul_election *election)
{
	int64_t until = lease_end(election);
	if (holds_key(election) && consul_leader_now() < until) {
		election->adopted_by = 0;
		if (token_of(election))
			consul_leader_extend(election->leader, until);
		else
			gain(election, until);
	} else if (!is_undecided(election)) {
		bool led = token_of(election);
		lose(election, reason(election));
		/* Consul that lost its data begins its indexes anew: a blocking query for the next one could last its whole minute. */
		if (led && !*consul_session_id(election->session))
			consul_key_forget(election->key);
	}
}

/* The blocking query may have told it already. */
static void read_key_anew(struct consul_election *election)
{
	if (!holds_key(election))
		consul_key_forget(election->key);
}

static void read_acquisition(struct consul_election *election, int64_t now)
{
	switch (consul_key_asked(election->key)) {
	case CONSUL_ASKED_GRANTED:
		consul_session_confirm(election->session, consul_key_sent(election->key));
		read_key_anew(election);
		break;
	case CONSUL_ASKED_REFUSED:
		election->try_at = now + REFUSED_MS + random() % (2 * REFUSED_MS);
		break;
	case CONSUL_ASKED_FAILED:
		/* It may be ours nevertheless, or the session may be gone. */
		consul_session_doubt(election->session);
		read_key_anew(election);
		election->try_at = now + REFUSED_MS + random() % (2 * REFUSED_MS);
		break;
	default:
		return;
	}
	consul_key_done(election->key);
}

static void be_due(struct consul_election *election, int64_t due)
{
	if (due < election->due)
		election->due = due;
}

/* Followers have no session: they only watch the key. */
static void compete(struct consul_election *election, int64_t now)
{
	bool was_free = election->free;
	const char *id = consul_session_id(election->session);
	election->free = consul_key_known(election->key) && !*consul_key_holder(election->key);
	if (!election->free) {
		if (*id && consul_key_known(election->key) && !holds_key(election))
			consul_session_end(election->session, consul_client_patience(election->client));
		return;
	}
	if (!was_free)
		election->try_at = now + random() % RUSH_MS;
	if (consul_key_asked(election->key) != CONSUL_ASKED_NOTHING)
		return;
	if (now < election->try_at) {
		be_due(election, election->try_at);
	} else if (*id) {
		consul_key_acquire(election->key, id, election->value);
	} else {
		consul_session_want(election->session, now);
		be_due(election, consul_session_due(election->session));
	}
}

static void stand(struct consul_election *election, int64_t now)
{
	read_acquisition(election, now);
	judge(election);
	compete(election, now);
	consul_session_tick(election->session, now);
	if (*consul_session_id(election->session))
		be_due(election, consul_session_due(election->session));
}

static void step_down(struct consul_election *election, const char *because, int64_t now, long most_ms)
{
	lose(election, because);
	consul_key_done(election->key);
	consul_leader_set_session(election->leader, ""); /* nobody goes on with it */
	election->retreat = SETTLING;
	election->settle_by = now + most_ms / 2;
	election->retreat_by = now + most_ms;
}

static long time_left(const struct consul_election *election, int64_t now)
{
	return now < election->retreat_by ? (long) (election->retreat_by - now) : 1;
}

/* What the user does on loss comes before another one can gain, if it does not take too long. A release leaves no lock-delay, so it comes before the
 * session's end. */
static void retreat(struct consul_election *election, int64_t now)
{
	const char *id = consul_session_id(election->session);
	if (election->retreat == SETTLING && (!*id || consul_commands_idle(election->commands) || now >= election->settle_by)) {
		election->retreat = RELEASING;
		if (*id && !(consul_key_known(election->key) && !holds_key(election)))
			consul_key_release(election->key, id, time_left(election, now));
	}
	if (election->retreat == RELEASING && consul_key_asked(election->key) != CONSUL_ASKED_WAITING) {
		consul_key_done(election->key);
		election->retreat = ENDING;
		election->end_by = NEVER;
		consul_session_end(election->session, time_left(election, now));
	}
	if (election->retreat == ENDING && (consul_session_ended(election->session) || now >= election->end_by)) {
		election->retreat = STEADY;
		election->left = election->leaving;
	}
}

/* For the cache, which knows no lease: it tells what was last known. */
static void tell(struct consul_election *election)
{
	if (!election->publish || !consul_key_known(election->key))
		return;
	json_t *holder = *consul_key_holder(election->key) ? consul_key_value(election->key) : NULL;
	char *item = consul_candidate_item(election->config, holder, token_of(election));
	if (election->published && !strcmp(election->published, item)) {
		free(item);
		return;
	}
	char *key = consul_format("election/%s", election->config->election.name);
	bool taken = election->publish(election->context, key, item);
	free(key);
	free(election->published);
	election->published = taken ? item : NULL;
	if (!taken)
		free(item);
}

/* A stop has less time than a retreat that is under way was given. */
static void hurry(struct consul_election *election, int64_t now, long most_ms)
{
	if (election->retreat_by <= now + most_ms)
		return;
	election->retreat_by = election->end_by = now + most_ms;
	if (election->settle_by > now + most_ms / 2)
		election->settle_by = now + most_ms / 2;
	/* To ask for it twice does no harm. */
	if (election->retreat == RELEASING && consul_key_asked(election->key) == CONSUL_ASKED_WAITING)
		consul_key_release(election->key, consul_session_id(election->session), most_ms / 2);
}

static bool has_stakes(const struct consul_election *election)
{
	return token_of(election) || *consul_session_id(election->session) || consul_key_asked(election->key) != CONSUL_ASKED_NOTHING ||
	       !consul_session_ended(election->session);
}

void consul_election_tick(struct consul_election *election, enum consul_standing standing, const char *note, int64_t now)
{
	if (!election)
		return;
	election->due = NEVER;
	consul_commands_tick(election->commands);
	if (!election->leaving) {
		consul_key_tick(election->key, now);
		if (standing != CONSUL_OBSERVE)
			adopt(election);
	}
	if (election->retreat == STEADY && !election->leaving && standing == CONSUL_STAND_DOWN && has_stakes(election))
		step_down(election, note, now, (long) election->lease_ms);
	if (election->retreat != STEADY)
		retreat(election, now);
	else if (!election->leaving && standing == CONSUL_STAND)
		stand(election, now);
	if (election->adopted && election->retreat == STEADY)
		note_session(election);
	consul_commands_tick(election->commands);
	tell(election);
	if (!election->leaving)
		be_due(election, consul_key_due(election->key));
}

int64_t consul_election_due(const struct consul_election *election)
{
	return election ? election->due : NEVER;
}

void consul_election_leave(struct consul_election *election, long most_ms)
{
	if (!election || election->leaving)
		return;
	int64_t now = consul_now();
	adopt(election);
	election->leaving = true;
	if (election->retreat == STEADY)
		step_down(election, "it stops", now, most_ms);
	else
		hurry(election, now, most_ms);
}

void consul_election_relieve(struct consul_election *election, long most_ms)
{
	if (!election || election->leaving)
		return;
	bool handed = !strcmp(election->leader->handed, consul_session_id(election->session));
	if (!election->adopted || (handed && election->retreat == STEADY))
		election->leaving = election->left = true;
	else
		consul_election_leave(election, most_ms);
}

bool consul_election_left(const struct consul_election *election)
{
	return !election || election->left;
}

bool consul_election_is_quiet(const struct consul_election *election)
{
	return !election || consul_commands_idle(election->commands);
}
