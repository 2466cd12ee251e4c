/* SPDX-License-Identifier: BSD-2-Clause */
#include "health.h"
#include "json.h"
#include "memory.h"
#include "rpc_functions.h"

#define YEAR_MS (366L * 24 * 3600 * 1000)

enum { STATE, NOTE, TTL };

static json_t *tell_health(struct consul_rpc_call *call)
{
	static const char *const states[] = {[CONSUL_PASSING] = "passing", [CONSUL_WARNING] = "warning", [CONSUL_CRITICAL] = "critical", NULL};
	static const struct consul_range range = {100, YEAR_MS, false, "a time of 100ms or more is right, such as 30s, or nothing for until the next call"};
	int state = consul_rpc_choice(call, STATE, states, "the states are passing, warning and critical");
	long ttl_ms = *consul_rpc_value(call, TTL) ? consul_rpc_duration(call, TTL, &range) : 0;
	if (!call->problem && !call->health)
		call->problem = consul_format("consul_health: this instance registers no service (consul-service-name), whose health could be told");
	if (call->problem)
		return NULL;
	consul_health_give(call->health, (enum consul_state) state, consul_rpc_value(call, NOTE), ttl_ms);
	return consul_json(json_true());
}

const struct consul_rpc_function consul_rpc_health = {
	.name = "consul_health",
	.arguments = {"state", "note", "ttl"},
	.needed = 1,
	.tell = tell_health,
};
