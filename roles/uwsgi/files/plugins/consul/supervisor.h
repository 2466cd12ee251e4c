/* SPDX-License-Identifier: BSD-2-Clause
 * The master's side: starts the agent process, starts it again when it dies, ends it. */
#ifndef CONSUL_SUPERVISOR_H
#define CONSUL_SUPERVISOR_H

#include <stdbool.h>

struct consul_config;
struct consul_health;
struct consul_predecessor;

/* In the process that will be the master, before it forks anything. Both arguments must live as long. False: no memory, no random bytes. */
bool consul_supervisor_prepare(struct consul_config *config, struct consul_predecessor *predecessor);

/* Where workers put the app's own verdict. */
struct consul_health *consul_supervisor_health(void);

/* At each turn of the master's loop. */
void consul_supervisor_cycle(void);

/* Has the services deregistered and waits until they are, at most `consul-stop-timeout` and a little more. Safe in a signal handler, and more than once. */
void consul_supervisor_stop(void);

/* In a worker: one that was started late is born with what is the master's. */
void consul_supervisor_forget(void);

/* Just before the master becomes another program. */
void consul_supervisor_hand_over(void);

/* Tells the agent process that the instance stops, if it does. Safe in another thread. */
void consul_supervisor_watch_status(void);

/* Reloads that end the instance are stops. */
bool consul_supervisor_is_stopping(void);

#endif
