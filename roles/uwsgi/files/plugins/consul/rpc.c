/* SPDX-License-Identifier: BSD-2-Clause */
#include "core.h"
#include "rpc.h"

#include "blocking.h"
#include "client.h"
#include "json.h"
#include "memory.h"
#include "rpc_caller.h"
#include "rpc_functions.h"

static const struct consul_rpc_function *const functions[] = {
	&consul_rpc_services,	     &consul_rpc_service,	 &consul_rpc_set,	   &consul_rpc_get,	     &consul_rpc_del,	  &consul_rpc_session_create,
	&consul_rpc_session_destroy, &consul_rpc_session_info, &consul_rpc_session_node, &consul_rpc_session_list, &consul_rpc_health,
	&consul_rpc_leader,
};

#define FUNCTIONS (sizeof(functions) / sizeof(functions[0]))

static const struct consul_connection *connection;
static struct consul_health *health;

void consul_rpc_register(struct uwsgi_plugin *plugin, const struct consul_connection *to, struct consul_health *of)
{
	connection = to;
	health = of;
	if (!consul_blocking_prepare(connection)) {
		consul_log("no RPC functions: the system has no key for threads left");
		return;
	}
	for (size_t i = 0; i < FUNCTIONS; i++)
		if (uwsgi_register_rpc((char *) functions[i]->name, plugin, 0, (void *) functions[i])) {
			consul_log("rpc-max = %llu: %s and the functions after it have no place, %zu more are needed", (unsigned long long) uwsgi.rpc_max,
				   functions[i]->name, FUNCTIONS - i);
			return;
		}
}

/* What comes back from elsewhere may be any bytes. */
static json_t *text_of(const char *text)
{
	json_t *json = json_string(text);
	if (json)
		return json;
	char *plain = consul_format("%s", text);
	for (char *byte = plain; *byte; byte++)
		if ((unsigned char) *byte >= 0x80)
			*byte = '?';
	json = consul_json(json_string(plain));
	free(plain);
	return json;
}

static json_t *failure(const char *problem, const char *argument)
{
	json_t *object = consul_json(json_object());
	consul_json_set(object, "error", text_of(problem));
	if (argument)
		consul_json_set(object, "argument", json_string(argument));
	return object;
}

struct question {
	const struct consul_rpc_function *function;
	bool writes;
	json_t *result;
};

static json_t *trouble(const struct question *question, const struct consul_answer *answer)
{
	char *line = consul_answer_describe(answer);
	bool unsure = question->writes && !answer->status && !answer->unsent;
	char *text = consul_format("%s%s", line, unsure ? "; it may have been done all the same" : "");
	json_t *object = failure(text, NULL);
	free(text);
	free(line);
	return object;
}

static json_t *unexpected(const struct consul_answer *answer)
{
	char *text = consul_format("agent %s answers what Consul's API does not have", answer->agent);
	json_t *object = failure(text, NULL);
	free(text);
	return object;
}

static void answered(void *context, const struct consul_answer *answer)
{
	struct question *question = context;
	if (answer->status != 200 && !(answer->status == 404 && question->function->missing)) {
		question->result = trouble(question, answer);
		return;
	}
	question->result = question->function->read(answer);
	if (!question->result)
		question->result = unexpected(answer);
}

static json_t *ask(struct consul_rpc_call *call)
{
	struct consul_request request = {0};
	char *path = NULL, *body = NULL;
	call->function->ask(call, &request, &path, &body);
	struct question question = {.function = call->function, .writes = strcmp(request.method, "GET") != 0};
	request.path = path;
	request.body = body;
	if (!call->problem)
		consul_blocking_ask(&request, !consul_rpc_caller_is_master(), answered, &question);
	free(path);
	free(body);
	return question.result;
}

static json_t *run(struct consul_rpc_call *call)
{
	const char *refusal = consul_rpc_caller_refusal();
	json_t *result = NULL;
	if (refusal)
		return failure(refusal, NULL);
	if (consul_rpc_accept(call))
		result = (call->function->tell ? call->function->tell : ask)(call);
	return call->problem ? failure(call->problem, call->wrong) : result;
}

uint64_t consul_rpc_run(void *function, uint8_t count, char **values, uint16_t *lengths, char **answer)
{
	struct consul_rpc_call call = {
		.function = function,
		.connection = connection,
		.health = health,
		.count = count,
		.values = values,
		.lengths = lengths,
	};
	*answer = consul_json_text(run(&call));
	free(call.problem);
	return strlen(*answer);
}
