/* SPDX-License-Identifier: BSD-2-Clause
 * How the instance is, in Consul's three words. */
#ifndef CONSUL_VERDICT_H
#define CONSUL_VERDICT_H

#include <stdbool.h>

#define CONSUL_NOTE_LENGTH 512

enum consul_state { CONSUL_PASSING, CONSUL_WARNING, CONSUL_CRITICAL };

struct consul_verdict {
	enum consul_state state;
	bool complete; /* every worker that should accept requests does */
	bool failing; /* no worker accepts, and those that are started die before they do */
	char note[2 * CONSUL_NOTE_LENGTH]; /* for people: the workers', then the app's own */
};

static inline const char *consul_state_name(enum consul_state state)
{
	return state == CONSUL_PASSING ? "passing" : state == CONSUL_WARNING ? "warning" : "critical";
}

#endif
