/* SPDX-License-Identifier: BSD-2-Clause
 * Memory that the master and its agent process share: what only the master knows, and what outlives an agent process. */
#ifndef CONSUL_BOARD_H
#define CONSUL_BOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "health.h"
#include "leader.h"

#define CONSUL_NONCE_LENGTH 32

#define CONSUL_SIGNALS 256 /* uWSGI's own, by number */

enum consul_mode { CONSUL_RUNNING, CONSUL_RELOADING };

struct consul_board {
	char nonce[CONSUL_NONCE_LENGTH + 1]; /* of this instance; never changes */
	_Atomic int mode; /* enum consul_mode, by the master */
	_Atomic bool stopping; /* by the master */
	_Atomic bool replaced; /* this master is about to become another program, by the master */
	_Atomic bool relieve, dismiss; /* the master has to tell it to the predecessor, by the agent process */
	_Atomic bool took_over; /* nothing of a predecessor is left to do, by the agent process */
	_Atomic bool reload_wanted; /* set by the agent process, cleared by the master */
	_Atomic uint64_t signals[CONSUL_SIGNALS / 64]; /* to be raised; a bit each, set and cleared in the same way */
	struct consul_health health; /* by the workers */
	struct consul_leader leader; /* by the agent process */
	int services;
	_Atomic bool *present; /* service 0 to n-1: it is registered, by the agent process */
	int workers;
	_Atomic bool *restarting; /* worker 1 to n: told to end, to be started again; set by the master, cleared by the agent process */
};

/* NULL when there is no memory. Lives as long as the instance. */
struct consul_board *consul_board_new(const char *nonce, int workers, int services);

/* A new name for an instance; false when the kernel has no random bytes. */
bool consul_nonce_make(char nonce[CONSUL_NONCE_LENGTH + 1]);

/* Writes down what the core's tables say now; only the master may. `stopping`: the instance ends. */
void consul_board_publish(struct consul_board *board, bool stopping);

#endif
