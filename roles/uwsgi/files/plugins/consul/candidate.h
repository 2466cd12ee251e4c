/* SPDX-License-Identifier: BSD-2-Clause
 * What an instance says of itself in an election, in JSON. All texts are freed by the caller. */
#ifndef CONSUL_CANDIDATE_H
#define CONSUL_CANDIDATE_H

#include <jansson.h>

struct consul_config;

struct consul_candidate {
	const char *nonce; /* of the instance */
	const char *node; /* its host */
	int master; /* the pid */
};

/* The request for a session, which ends with the node and with what keeps our services alive. */
char *consul_candidate_session(const struct consul_config *config);

/* The value of the leader's key. */
char *consul_candidate_value(const struct consul_config *config, const struct consul_candidate *candidate);

/* The item `election/<name>` of the cache. `holder` is what the leader says of itself, or NULL; `token` is 0 unless this instance leads. */
char *consul_candidate_item(const struct consul_config *config, json_t *holder, unsigned long long token);

#endif
