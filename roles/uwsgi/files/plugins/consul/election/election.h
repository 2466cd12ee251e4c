/* SPDX-License-Identifier: BSD-2-Clause
 * One leader among all instances that name the election: how this one stands for it, leads, and steps down. */
#ifndef CONSUL_ELECTION_H
#define CONSUL_ELECTION_H

#include <stdbool.h>
#include <stdint.h>

struct consul_candidate;
struct consul_client;
struct consul_config;
struct consul_election;
struct consul_leader;

enum consul_standing {
	CONSUL_OBSERVE, /* a predecessor acts for this instance */
	CONSUL_STAND_DOWN, /* this instance may not lead */
	CONSUL_STAND, /* it leads if it can */
};

/* Takes the item `election/<name>` for the cache whenever it changes; false: later, please. */
typedef bool (*consul_election_publish)(void *context, const char *key, const char *item);

/* All must outlive it. `publish` may be NULL. NULL where the instance takes part in none; every function below takes that too. */
struct consul_election *consul_election_new(const struct consul_config *config, struct consul_client *client, const struct consul_candidate *candidate,
					    struct consul_leader *leader, consul_election_publish publish, void *context);
void consul_election_free(struct consul_election *election);

/* Does what is due. While standing down, or in doubt, the lease ends at once: call this before others are told why. `note` says how the
 * instance is, for people. */
void consul_election_tick(struct consul_election *election, enum consul_standing standing, const char *note, int64_t now);
int64_t consul_election_due(const struct consul_election *election);

/* Steps down for good; after `most_ms` the session is left to its TTL. */
void consul_election_leave(struct consul_election *election, long most_ms);

/* The same for a process that another one takes the place of: what was handed over to that one is left alone. */
void consul_election_relieve(struct consul_election *election, long most_ms);

/* Consul has nothing of us any more. */
bool consul_election_left(const struct consul_election *election);

/* No command runs or waits. */
bool consul_election_is_quiet(const struct consul_election *election);

#endif
