/* SPDX-License-Identifier: BSD-2-Clause
 * A call to Consul that its caller waits for. Each thread has connections of its own, which stay open until it ends. */
#ifndef CONSUL_BLOCKING_H
#define CONSUL_BLOCKING_H

#include <stdbool.h>

#include "http.h"

struct consul_connection;

/* Where calls will go; before any process is forked. It must live as long as they are made. False, when there is no key left for threads. */
bool consul_blocking_prepare(const struct consul_connection *connection);

/* `answered` is called once, before this returns, which is within the agents' time-outs. `keep`: the thread will ask again. */
void consul_blocking_ask(const struct consul_request *request, bool keep, consul_answered answered, void *context);

#endif
