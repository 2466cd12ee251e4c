/* SPDX-License-Identifier: BSD-2-Clause
 * Each function that apps can call. */
#ifndef CONSUL_RPC_FUNCTIONS_H
#define CONSUL_RPC_FUNCTIONS_H

#include "rpc_call.h"

extern const struct consul_rpc_function consul_rpc_services, consul_rpc_service;
extern const struct consul_rpc_function consul_rpc_set, consul_rpc_get, consul_rpc_del;
extern const struct consul_rpc_function consul_rpc_session_create, consul_rpc_session_destroy, consul_rpc_session_info, consul_rpc_session_node,
	consul_rpc_session_list;
extern const struct consul_rpc_function consul_rpc_health, consul_rpc_leader;

#endif
