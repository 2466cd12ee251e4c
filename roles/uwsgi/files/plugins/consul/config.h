/* SPDX-License-Identifier: BSD-2-Clause
 * The options' values, judged and ready for use. */
#ifndef CONSUL_CONFIG_H
#define CONSUL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "address.h"
#include "list.h"
#include "verdict.h"

struct consul_options;

enum consul_consistency { CONSUL_DEFAULT, CONSUL_CONSISTENT, CONSUL_STALE };

/* How agents are reached. */
struct consul_connection {
	struct consul_address *agents;
	size_t agents_count;
	enum consul_consistency consistency;
	char *datacenter; /* or NULL: the agent's own */
	char *token_file; /* or NULL */
	char *token; /* where the configuration itself holds it, else NULL */
	char *ca, *cert, *key; /* files, or NULL */
	bool unverified; /* any certificate will do */
	bool traced; /* every request is logged */
	long timeout_ms;
};

struct consul_meta {
	char *key;
	char *value;
};

struct consul_service_config {
	char *name;
	char *id; /* NULL until consul_config_complete() */
	int port; /* 0 until consul_config_complete(); afterwards: none, which only `portless` allows */
	bool portless;
	bool early; /* registered before the workers accept */
	char *address; /* or NULL: the node's */
	struct consul_list tags;
	struct consul_meta *meta;
	size_t meta_count;
	int passing_weight, warning_weight; /* -1: Consul's own */
	long ttl_ms;
	long deregister_after_ms; /* 0: never */
	char *check_http; /* URL, or path of the service until consul_config_complete(); or NULL */
	char *check_tcp; /* host:port, or NULL */
	long check_interval_ms;
	struct consul_connection *connection; /* its own, or NULL: that of the instance */
};

enum consul_watch_kind { CONSUL_WATCH_SERVICE, CONSUL_WATCH_KV, CONSUL_WATCH_QUERY };
enum consul_change_action { CONSUL_CHANGE_NOTHING, CONSUL_CHANGE_RELOAD, CONSUL_CHANGE_TOUCH, CONSUL_CHANGE_SIGNAL };

struct consul_watch_config {
	enum consul_watch_kind kind;
	char *name; /* of the service or query; the prefix of the keys */
	char *datacenter; /* or NULL: the connection's */
	struct consul_list tags;
	enum consul_state worst; /* the worst state of an instance that is listed; critical: every instance */
	char *filter; /* or NULL */
	long interval_ms; /* between two executions of a query */
	enum consul_change_action action;
	char *touched; /* the file of CONSUL_CHANGE_TOUCH, else NULL */
	int signum; /* uWSGI's signal of CONSUL_CHANGE_SIGNAL */
};

struct consul_election_config {
	char *name; /* NULL: this instance takes part in none */
	char *key; /* that the leader holds */
	long ttl_ms;
	long lock_delay_ms;
	struct consul_list gain, loss; /* commands */
	struct consul_list crons, unique_crons;
};

struct consul_config {
	struct consul_connection connection;
	struct consul_service_config *services;
	size_t services_count;
	struct consul_watch_config *watches;
	size_t watches_count;
	char *cache;
	struct consul_election_config election;
	long backlog; /* from which on the instance is in the state warning; 0: never */
	enum consul_state suspended;
	long stop_ms;
};

/* Where clients of the instance connect to, as far as its sockets tell. */
struct consul_endpoint {
	char host[64]; /* "": every address of the node */
	int port; /* 0: no socket has one */
};

/* NULL when all is well, else what is wrong, in words for the user (the caller frees it). */
char *consul_config_read(const struct consul_options *options, struct consul_config *config);

/* Settles what is known only once the sockets are bound. The result is as above. */
char *consul_config_complete(struct consul_config *config, const char *node, const struct consul_endpoint *endpoint);

/* Is there anything that an agent process has to do? */
bool consul_config_is_active(const struct consul_config *config);

/* The ids of all services and the key of the election, which tell whether another process speaks for the same; the caller frees it. */
char *consul_config_identity(const struct consul_config *config);

void consul_config_clear(struct consul_config *config);

#endif
