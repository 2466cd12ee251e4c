/* SPDX-License-Identifier: BSD-2-Clause
 * The functions that apps call: whatever their arguments, Consul is asked what was meant, or the caller reads what is wrong; and whatever the answer,
 * it becomes JSON.
 *
 * An input's first line is the function's name, each further one an argument; the last of them is also what Consul answers. */
#define _GNU_SOURCE
#include "paths.h"

#include <jansson.h>

#include "clock.h"
#include "config.h"
#include "health.h"
#include "http.h"
#include "rpc_functions.h"
#include "values.h"

#define MOST 9 /* arguments, one more than any function has */

static const struct consul_rpc_function *const functions[] = {
	&consul_rpc_services, &consul_rpc_service, &consul_rpc_set, &consul_rpc_get, &consul_rpc_del, &consul_rpc_session_create,
	&consul_rpc_session_destroy, &consul_rpc_session_info, &consul_rpc_session_node, &consul_rpc_session_list, &consul_rpc_health, &consul_rpc_leader,
};

static const struct consul_rpc_function *find(const char *name)
{
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
		if (!strcmp(functions[i]->name, name))
			return functions[i];
	return NULL;
}

/* Where each function's name stands in its path. */
static void check_name(const struct consul_rpc_call *call, const char *path)
{
	static const struct {
		const struct consul_rpc_function *function;
		const char *before;
		size_t argument;
	} named[] = {
		{&consul_rpc_service, "/v1/health/service/", 1},	{&consul_rpc_set, "/v1/kv/", 0},
		{&consul_rpc_get, "/v1/kv/", 0},			{&consul_rpc_del, "/v1/kv/", 0},
		{&consul_rpc_session_destroy, "/v1/session/destroy/", 0}, {&consul_rpc_session_info, "/v1/session/info/", 0},
		{&consul_rpc_session_node, "/v1/session/node/", 0},
	};
	check_taken(path);
	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++)
		if (call->function == named[i].function)
			check_path(path, named[i].before, consul_rpc_value(call, named[i].argument));
}

static void check_body(const struct consul_rpc_call *call, const struct consul_request *request, const char *body)
{
	if (call->function == &consul_rpc_set) {
		must(body && request->body_length == call->lengths[1] && !memcmp(body, call->values[1], call->lengths[1]));
	} else if (call->function == &consul_rpc_session_create) {
		json_t *session = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
		const char *name = json_string_value(json_object_get(session, "Name"));
		must(json_is_object(session) && !strcmp(name ? name : "", consul_rpc_value(call, 1)));
		json_decref(session);
	} else {
		must(!body);
	}
}

static void check_ask(struct consul_rpc_call *call)
{
	struct consul_request request = {0};
	char *path = NULL, *body = NULL;
	call->function->ask(call, &request, &path, &body);
	must(path && request.method && (!strcmp(request.method, "GET") || !strcmp(request.method, "PUT") || !strcmp(request.method, "DELETE")));
	if (!call->problem) {
		check_name(call, path);
		check_body(call, &request, body);
	}
	free(path);
	free(body);
}

static void check_tell(struct consul_rpc_call *call)
{
	char note[CONSUL_NOTE_LENGTH];
	enum consul_state state;
	json_t *result = call->function->tell(call);
	must(!result == !!call->problem);
	if (result && call->function == &consul_rpc_health) {
		must(consul_health_read(call->health, consul_now() - 1000, &state, note));
		must(!strcmp(consul_state_name(state), call->values[0]));
		must(!strncmp(consul_rpc_value(call, 1), note, strlen(note)) && (!*note || consul_is_clean(note)));
	}
	json_decref(result);
}

static void check_read(const struct consul_rpc_function *function, const char *body)
{
	const struct consul_answer answer = {.status = 200, .body = body, .length = strlen(body), .agent = "127.0.0.1:8500"};
	json_t *result = function->read(&answer);
	char *text = result ? json_dumps(result, JSON_ENCODE_ANY) : NULL;
	must(!result || text);
	free(text);
	json_decref(result);
}

static void run(const struct consul_rpc_function *function, size_t count, char **values, const uint16_t *lengths)
{
	static struct consul_health health;
	struct consul_connection connection = {.consistency = CONSUL_STALE, .datacenter = "dc 1"};
	struct consul_rpc_call call = {
		.function = function, .connection = &connection, .health = &health, .count = count, .values = values, .lengths = lengths};
	if (consul_rpc_accept(&call))
		(function->ask ? check_ask : check_tell)(&call);
	must(!call.problem || (consul_is_clean(call.problem) && (strstr(call.problem, function->name) || call.wrong)));
	free(call.problem);
	if (function->read && count)
		check_read(function, values[count - 1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *values[MOST], *text = fuzz_text(data, size), *rest = text;
	uint16_t lengths[MOST];
	size_t count = 0;
	const struct consul_rpc_function *function = find(strsep(&rest, "\n"));
	/* Zeroes within an argument are kept, as languages do; the last one takes all that is left. */
	for (; function && rest && count < MOST; count++) {
		char *end = memchr(rest, '\n', (size_t) (text + size - rest));
		values[count] = rest;
		lengths[count] = (uint16_t) ((end ? end : text + size) - rest);
		if (end)
			*end = 0;
		rest = end ? end + 1 : NULL;
	}
	if (function)
		run(function, count, values, lengths);
	free(text);
	return 0;
}
