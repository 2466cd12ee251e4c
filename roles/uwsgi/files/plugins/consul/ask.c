/* SPDX-License-Identifier: BSD-2-Clause */
#include "ask.h"

#include <stdlib.h>

#include "config.h"

struct consul_call *consul_ask(struct consul_client *client, const struct consul_question *question, consul_answered answered, void *context)
{
	struct consul_request request = {.method = question->method, .path = question->path, .body = question->body, .timeout_ms = question->most_ms};
	struct consul_call *call = question->wait_ms ? consul_call_wait(client, &request, question->wait_ms, answered, context)
						     : consul_call_start(client, &request, answered, context);
	free(question->path);
	free(question->body);
	if (!call) {
		const char *agent = consul_client_connection(client)->agents[0].name;
		answered(context, &(struct consul_answer){.error = "no request could be started", .agent = agent, .body = ""});
	}
	return call;
}
