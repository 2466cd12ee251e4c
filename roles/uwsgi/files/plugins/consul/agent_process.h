/* SPDX-License-Identifier: BSD-2-Clause
 * The agent process: a child of the master that talks to Consul, in one event loop. */
#ifndef CONSUL_AGENT_PROCESS_H
#define CONSUL_AGENT_PROCESS_H

#include <signal.h>
#include <sys/types.h>

struct consul_board;
struct consul_config;
struct consul_predecessor;

#define CONSUL_SIGNAL_LEAVE SIGTERM /* deregister, then end; also what the master's death sends */
#define CONSUL_SIGNAL_RELIEVED SIGUSR1 /* end: another process has taken over */

/* How much longer than a deregistration may take the master waits for it. */
#define CONSUL_STOP_GRACE_MS 500

/* Runs in the child until it has to end; closing `leash` tells the master that nothing is left to wait for. */
void consul_agent_process_run(struct consul_config *config, struct consul_board *board, struct consul_predecessor *predecessor, int leash,
			      pid_t master) __attribute__((noreturn));

#endif
