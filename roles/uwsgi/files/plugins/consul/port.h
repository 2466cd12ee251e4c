/* SPDX-License-Identifier: BSD-2-Clause
 * The port that clients of this instance connect to, from the sockets that it has bound. */
#ifndef CONSUL_PORT_H
#define CONSUL_PORT_H

/* Of the first socket of the http router, else of the first TCP socket of the workers; 0 when there is none. */
int consul_port_of_sockets(void);

#endif
