/* SPDX-License-Identifier: BSD-2-Clause
 * Who calls one of our functions. */
#ifndef CONSUL_RPC_CALLER_H
#define CONSUL_RPC_CALLER_H

#include <stdbool.h>

/* NULL when this caller may call, else why not. */
const char *consul_rpc_caller_refusal(void);

/* The process that is the master, or will be once the apps are loaded. */
bool consul_rpc_caller_is_master(void);

#endif
