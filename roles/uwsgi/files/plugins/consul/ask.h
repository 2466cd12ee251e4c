/* SPDX-License-Identifier: BSD-2-Clause
 * A request whose failure to start is an answer like any other. */
#ifndef CONSUL_ASK_H
#define CONSUL_ASK_H

#include "client.h"

struct consul_question {
	const char *method;
	char *path; /* freed here */
	char *body; /* freed here, or NULL */
	long most_ms;
	long wait_ms; /* of a blocking query, else 0 */
};

/* NULL: `answered` was called already. It must not ask again by itself. */
struct consul_call *consul_ask(struct consul_client *client, const struct consul_question *question, consul_answered answered, void *context);

#endif
