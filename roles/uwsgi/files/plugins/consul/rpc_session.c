/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "http.h"
#include "json.h"
#include "memory.h"
#include "path.h"
#include "rpc_functions.h"
#include "values.h"

#define LARGE_ANSWER ((size_t) 64 * 1024 * 1024)

enum { CREATE_LOCK_DELAY, CREATE_NAME, CREATE_NODE, CREATE_CHECKS };

/* With a list of our own Consul no longer watches the node's own check, serfHealth, unless it is in there. */
static json_t *checks_of(struct consul_rpc_call *call)
{
	json_t *checks = consul_json(json_array());
	const char *text = consul_rpc_value(call, CREATE_CHECKS);
	for (;;) {
		size_t length = strcspn(text, ",");
		char *check = consul_trim(text, length);
		if (!*check)
			consul_rpc_wrong(call, CREATE_CHECKS, "the ids of checks are right, separated by commas");
		consul_json_append(checks, json_string(check));
		free(check);
		if (!text[length])
			return checks;
		text += length + 1;
	}
}

static json_t *session_of(struct consul_rpc_call *call)
{
	static const struct consul_range delay = {1, 60 * 1000, true, "a time up to 60s is right, such as 15s, or 0"};
	const char *name = consul_rpc_value(call, CREATE_NAME), *node = consul_rpc_value(call, CREATE_NODE);
	json_t *session = consul_json(json_object());
	if (*consul_rpc_value(call, CREATE_LOCK_DELAY))
		consul_json_set(session, "LockDelay", consul_json_duration(consul_rpc_duration(call, CREATE_LOCK_DELAY, &delay)));
	if (*name)
		consul_json_set(session, "Name", json_string(name));
	if (*node)
		consul_json_set(session, "Node", json_string(node));
	if (*consul_rpc_value(call, CREATE_CHECKS))
		consul_json_set(session, "NodeChecks", checks_of(call));
	return session;
}

static void ask_create(struct consul_rpc_call *call, struct consul_request *request, char **path, char **body)
{
	request->method = "PUT";
	request->once = true;
	*body = consul_json_text(session_of(call));
	*path = consul_rpc_where(call, consul_format("/v1/session/create"), -1, false);
}

static json_t *read_create(const struct consul_answer *answer)
{
	json_t *session = consul_rpc_json(answer);
	json_t *id = json_object_get(session, "ID");
	json_incref(id);
	json_decref(session);
	if (json_is_string(id))
		return id;
	json_decref(id);
	return NULL;
}

const struct consul_rpc_function consul_rpc_session_create = {
	.name = "consul_session_create",
	.arguments = {"lock_delay", "name", "node", "checks"},
	.ask = ask_create,
	.read = read_create,
};

static void ask_destroy(struct consul_rpc_call *call, struct consul_request *request, char **path, char **body)
{
	(void) body;
	request->method = "PUT";
	*path = consul_rpc_where(call, consul_path("/v1/session/destroy/", consul_rpc_name(call, 0)), -1, false);
}

const struct consul_rpc_function consul_rpc_session_destroy = {
	.name = "consul_session_destroy",
	.arguments = {"id"},
	.needed = 1,
	.ask = ask_destroy,
	.read = consul_rpc_read_bool,
};

static void ask_info(struct consul_rpc_call *call, struct consul_request *request, char **path, char **body)
{
	(void) body;
	request->method = "GET";
	*path = consul_rpc_where(call, consul_path("/v1/session/info/", consul_rpc_name(call, 0)), 1, true);
}

static json_t *read_info(const struct consul_answer *answer)
{
	json_t *sessions = consul_rpc_read_list(answer);
	json_t *session = json_array_get(sessions, 0);
	json_t *result = !sessions ? NULL : session ? json_incref(session) : consul_json(json_null());
	json_decref(sessions);
	return result;
}

const struct consul_rpc_function consul_rpc_session_info = {
	.name = "consul_session_info",
	.arguments = {"id", "dc"},
	.needed = 1,
	.ask = ask_info,
	.read = read_info,
};

static void ask_node(struct consul_rpc_call *call, struct consul_request *request, char **path, char **body)
{
	(void) body;
	request->method = "GET";
	request->most = LARGE_ANSWER;
	*path = consul_rpc_where(call, consul_path("/v1/session/node/", consul_rpc_name(call, 0)), 1, true);
}

const struct consul_rpc_function consul_rpc_session_node = {
	.name = "consul_session_node",
	.arguments = {"node", "dc"},
	.needed = 1,
	.ask = ask_node,
	.read = consul_rpc_read_list,
};

static void ask_list(struct consul_rpc_call *call, struct consul_request *request, char **path, char **body)
{
	(void) body;
	request->method = "GET";
	request->most = LARGE_ANSWER;
	*path = consul_rpc_where(call, consul_format("/v1/session/list"), 0, true);
}

const struct consul_rpc_function consul_rpc_session_list = {
	.name = "consul_session_list",
	.arguments = {"dc"},
	.ask = ask_list,
	.read = consul_rpc_read_list,
};
