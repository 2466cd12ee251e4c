/* SPDX-License-Identifier: BSD-2-Clause
 * Where clients of this instance connect to, from the sockets that it has bound. */
#ifndef CONSUL_PORT_H
#define CONSUL_PORT_H

struct consul_endpoint;

/* That of the first socket of the http router, else of the first TCP socket of the workers. */
void consul_endpoint_of_sockets(struct consul_endpoint *endpoint);

#endif
