/* SPDX-License-Identifier: BSD-2-Clause
 * One call of one of our functions: its arguments, and what is wrong with them. */
#ifndef CONSUL_RPC_CALL_H
#define CONSUL_RPC_CALL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "judge.h"

struct consul_answer;
struct consul_connection;
struct consul_health;
struct consul_request;
struct consul_rpc_call;

struct consul_rpc_function {
	const char *name;
	const char *arguments[8]; /* their names */
	size_t needed; /* how many of them can't be left out */
	bool missing; /* Consul's 404 is an answer that can be read */
	size_t bytes; /* the number (from 1) of the argument that is not text, 0: all are text */
	/* Says what Consul has to be asked; path and body are the caller's to free, also when the arguments are found wrong. */
	void (*ask)(struct consul_rpc_call *call, struct consul_request *request, char **path, char **body);
	/* Makes the result from an answer; NULL when it is not what Consul's API promises. */
	json_t *(*read)(const struct consul_answer *answer);
	/* In place of both, where Consul is not asked. */
	json_t *(*tell)(struct consul_rpc_call *call);
};

struct consul_rpc_call {
	const struct consul_rpc_function *function;
	const struct consul_connection *connection;
	struct consul_health *health; /* or NULL */
	size_t count;
	char **values; /* each is ended by 0 */
	const uint16_t *lengths;
	char *problem; /* the first one, in words for the user, or NULL */
	const char *wrong; /* the argument that it is about, or NULL */
};

/* Whether number, length and characters of the arguments are right; if not, the problem is in the call, as after all functions below. */
bool consul_rpc_accept(struct consul_rpc_call *call);

/* "" for one that was left out. */
const char *consul_rpc_value(const struct consul_rpc_call *call, size_t index);
size_t consul_rpc_length(const struct consul_rpc_call *call, size_t index);

void consul_rpc_wrong(struct consul_rpc_call *call, size_t index, const char *right);

/* What stands in a request's path: Consul knows no empty part, nor . and .. in it. */
const char *consul_rpc_name(struct consul_rpc_call *call, size_t index);
bool consul_rpc_flag(struct consul_rpc_call *call, size_t index);
long consul_rpc_number(struct consul_rpc_call *call, size_t index, const struct consul_range *range);
long consul_rpc_duration(struct consul_rpc_call *call, size_t index, const struct consul_range *range);
int consul_rpc_choice(struct consul_rpc_call *call, size_t index, const char *const *choices, const char *right);

/* Adds the datacenter that argument `index` names, else (and for index -1) that of the options; for what is read also the consistency. */
char *consul_rpc_where(const struct consul_rpc_call *call, char *path, int index, bool reads);

/* The JSON of an answer, or NULL. */
json_t *consul_rpc_json(const struct consul_answer *answer);
json_t *consul_rpc_read_bool(const struct consul_answer *answer);
json_t *consul_rpc_read_list(const struct consul_answer *answer);

#endif
