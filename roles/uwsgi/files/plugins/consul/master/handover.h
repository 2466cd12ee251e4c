/* SPDX-License-Identifier: BSD-2-Clause
 * A graceful reload keeps the master's pid but not its memory: what the next one must know goes through the environment. */
#ifndef CONSUL_HANDOVER_H
#define CONSUL_HANDOVER_H

#include <stdbool.h>
#include <sys/types.h>

/* The agent process from before the reload, which keeps the service alive until the new one can. */
struct consul_predecessor {
	pid_t pid; /* 0: there is none */
	char *nonce;
	char *ids; /* of its services */
	char *leadership; /* of its election, or NULL */
	char *crons; /* what the master knew of their runs, whether or not there is an agent process; or NULL */
};

/* Takes what the previous life of this process left, so that neither apps nor vassals see it. Once, as early as possible. */
void consul_handover_take(struct consul_predecessor *predecessor);
void consul_handover_leave(pid_t pid, const char *nonce, const char *leadership, const char *ids);
void consul_handover_leave_crons(const char *crons);

/* What a predecessor is told: to deregister what is still its own and end, or just to end. False when this process has no right to tell it: then the
 * master has. */
bool consul_predecessor_dismiss(struct consul_predecessor *predecessor);
bool consul_predecessor_relieve(struct consul_predecessor *predecessor);
void consul_predecessor_clear(struct consul_predecessor *predecessor);

#endif
