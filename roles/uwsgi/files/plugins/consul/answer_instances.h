/* SPDX-License-Identifier: BSD-2-Clause
 * The instances of a service as Consul answers them, made into what apps read. */
#ifndef CONSUL_ANSWER_INSTANCES_H
#define CONSUL_ANSWER_INSTANCES_H

#include <stdbool.h>

#include "text.h"
#include "verdict.h"

/* Adds `"instances":[...]` in the order of node, port and id, which is the same at each answer. Those that are worse than `worst` are left out.
 * False: `entries` is not what Consul's API promises; the text is of no use then. */
bool consul_answer_instances(const json_t *entries, enum consul_state worst, struct consul_text *text);

/* The same for the body of /v1/health/service/NAME. */
bool consul_answer_service(const char *body, size_t length, enum consul_state worst, struct consul_text *text);

/* The body of /v1/query/NAME/execute: adds `"datacenter":...,"failovers":...,"instances":[...]`. */
bool consul_answer_query(const char *body, size_t length, struct consul_text *text);

#endif
