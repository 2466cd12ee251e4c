/* SPDX-License-Identifier: BSD-2-Clause */
#include "json.h"
#include "leader.h"
#include "memory.h"
#include "rpc_functions.h"

static json_t *tell_leader(struct consul_rpc_call *call)
{
	struct consul_leadership leadership;
	if (!consul_leader_read(&leadership)) {
		call->problem = consul_format("consul_leader: this instance takes part in no election (consul-election)");
		return NULL;
	}
	json_t *object = consul_json(json_object());
	consul_json_set(object, "election", json_string(leadership.election));
	consul_json_set(object, "leader", json_boolean(leadership.leads));
	consul_json_set(object, "token", leadership.leads ? json_integer((json_int_t) leadership.token) : json_null());
	return object;
}

const struct consul_rpc_function consul_rpc_leader = {
	.name = "consul_leader",
	.tell = tell_leader,
};
