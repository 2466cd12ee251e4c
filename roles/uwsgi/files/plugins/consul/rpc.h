/* SPDX-License-Identifier: BSD-2-Clause
 * The functions that apps of every language call: who may call them, with what, and how an answer or a failure becomes JSON. */
#ifndef CONSUL_RPC_H
#define CONSUL_RPC_H

#include <stdint.h>

struct consul_connection;
struct consul_health;
struct uwsgi_plugin;

/* In the process that will be the master, before it loads apps. Both must live as long as the instance; `health` is NULL where no service is
 * registered. */
void consul_rpc_register(struct uwsgi_plugin *plugin, const struct consul_connection *connection, struct consul_health *health);

/* From now on this process is a master that has others to look after. */
void consul_rpc_master_turns(void);

/* What the core calls. The answer is the length of `*answer`, which the core frees. */
uint64_t consul_rpc_run(void *function, uint8_t count, char **values, uint16_t *lengths, char **answer);

#endif
