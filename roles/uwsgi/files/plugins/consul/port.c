/* SPDX-License-Identifier: BSD-2-Clause */
#include "core.h"
#include "port.h"

static int port_of(int descriptor)
{
	union {
		struct sockaddr any;
		struct sockaddr_in four;
		struct sockaddr_in6 six;
		struct sockaddr_storage storage;
	} address = {.storage = {0}};
	socklen_t length = sizeof(address);
	if (descriptor < 0 || getsockname(descriptor, &address.any, &length))
		return 0;
	if (address.any.sa_family == AF_INET)
		return ntohs(address.four.sin_port);
	return address.any.sa_family == AF_INET6 ? ntohs(address.six.sin6_port) : 0;
}

/* The http router stands before the workers, whose socket is then a private one. */
static int port_of_router(void)
{
	for (struct uwsgi_gateway_socket *socket = uwsgi.gateway_sockets; socket; socket = socket->next) {
		int port = socket->owner && !strncmp(socket->owner, "uWSGI http", 10) ? port_of(socket->fd) : 0;
		if (port)
			return port;
	}
	return 0;
}

int consul_port_of_sockets(void)
{
	int port = port_of_router();
	for (struct uwsgi_socket *socket = uwsgi.sockets; socket && !port; socket = socket->next)
		port = socket->bound ? port_of(socket->fd) : 0;
	return port;
}
