/* SPDX-License-Identifier: BSD-2-Clause */
#include "http.h"
#include "json.h"
#include "kv_item.h"
#include "memory.h"
#include "path.h"
#include "rpc_functions.h"

/* Consul can be told to take more than the 512 KiB that it takes by itself. */
#define LARGE_ANSWER ((size_t) 256 * 1024 * 1024)

static char *path_of_key(struct consul_rpc_call *call, size_t index)
{
	return consul_path_of_key("/v1/kv/", consul_rpc_name(call, index));
}

enum { SET_NAME, SET_VALUE, SET_DC, SET_CAS, SET_ACQUIRE, SET_RELEASE };

/* Consul takes only one of the conditions. True: there is one, so that a second time would not end as the first one did. */
static bool add_condition(struct consul_rpc_call *call, char **path)
{
	static const struct consul_range index = {1, 9999999999, true, "the key's index as a number is right, or 0 for a key that must not exist yet"};
	int conditions = 0;
	for (size_t i = SET_CAS; i <= SET_RELEASE; i++) {
		if (!*consul_rpc_value(call, i))
			continue;
		if (i == SET_CAS)
			consul_rpc_number(call, i, &index);
		if (conditions++)
			consul_rpc_wrong(call, i, "only one of cas, acquire and release is right");
		*path = consul_path_add(*path, call->function->arguments[i], consul_rpc_value(call, i));
	}
	return conditions;
}

static void ask_set(struct consul_rpc_call *call, struct consul_request *request, char **path, char **body)
{
	request->method = "PUT";
	request->body_length = consul_rpc_length(call, SET_VALUE);
	*body = consul_copy(consul_rpc_value(call, SET_VALUE), request->body_length);
	*path = consul_rpc_where(call, path_of_key(call, SET_NAME), SET_DC, false);
	request->once = add_condition(call, path);
}

const struct consul_rpc_function consul_rpc_set = {
	.name = "consul_set",
	.arguments = {"name", "value", "dc", "cas", "acquire", "release"},
	.needed = 2,
	.bytes = SET_VALUE + 1,
	.ask = ask_set,
	.read = consul_rpc_read_bool,
};

enum { GET_NAME, GET_DC };

static void ask_get(struct consul_rpc_call *call, struct consul_request *request, char **path, char **body)
{
	(void) body;
	request->method = "GET";
	request->most = LARGE_ANSWER;
	*path = consul_rpc_where(call, path_of_key(call, GET_NAME), GET_DC, true);
}

static json_t *read_get(const struct consul_answer *answer)
{
	if (answer->status == 404)
		return consul_json(json_null());
	json_t *entries = consul_kv_load(answer->body, answer->length);
	const json_t *entry = json_array_get(entries, 0);
	json_t *item = consul_kv_is_entry(entry) ? consul_kv_item(entry) : NULL;
	json_decref(entries);
	return item;
}

const struct consul_rpc_function consul_rpc_get = {
	.name = "consul_get",
	.arguments = {"name", "dc"},
	.needed = 1,
	.missing = true,
	.ask = ask_get,
	.read = read_get,
};

enum { DEL_NAME, DEL_RECURSE, DEL_DC };

static void ask_del(struct consul_rpc_call *call, struct consul_request *request, char **path, char **body)
{
	(void) body;
	request->method = "DELETE";
	*path = path_of_key(call, DEL_NAME);
	if (consul_rpc_flag(call, DEL_RECURSE))
		*path = consul_path_add(*path, "recurse", NULL);
	*path = consul_rpc_where(call, *path, DEL_DC, false);
}

const struct consul_rpc_function consul_rpc_del = {
	.name = "consul_del",
	.arguments = {"name", "recurse", "dc"},
	.needed = 1,
	.ask = ask_del,
	.read = consul_rpc_read_bool,
};
