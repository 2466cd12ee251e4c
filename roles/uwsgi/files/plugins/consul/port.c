/* SPDX-License-Identifier: BSD-2-Clause */
#include "core.h"
#include "port.h"

#include "config.h"

static bool read_four(const struct sockaddr_in *address, struct consul_endpoint *endpoint)
{
	endpoint->port = ntohs(address->sin_port);
	return address->sin_addr.s_addr == htonl(INADDR_ANY) || inet_ntop(AF_INET, &address->sin_addr, endpoint->host, sizeof(endpoint->host));
}

static bool read_six(const struct sockaddr_in6 *address, struct consul_endpoint *endpoint)
{
	endpoint->port = ntohs(address->sin6_port);
	return IN6_IS_ADDR_UNSPECIFIED(&address->sin6_addr) || inet_ntop(AF_INET6, &address->sin6_addr, endpoint->host, sizeof(endpoint->host));
}

/* False for a socket that is not of TCP. */
static bool read_socket(int descriptor, struct consul_endpoint *endpoint)
{
	union {
		struct sockaddr any;
		struct sockaddr_in four;
		struct sockaddr_in6 six;
		struct sockaddr_storage storage;
	} address = {.storage = {0}};
	socklen_t length = sizeof(address);
	memset(endpoint, 0, sizeof(*endpoint));
	if (descriptor < 0 || getsockname(descriptor, &address.any, &length))
		return false;
	if (address.any.sa_family == AF_INET)
		return read_four(&address.four, endpoint);
	return address.any.sa_family == AF_INET6 && read_six(&address.six, endpoint);
}

/* The http router stands before the workers, whose socket is then a private one. */
static bool read_router(struct consul_endpoint *endpoint)
{
	for (struct uwsgi_gateway_socket *socket = uwsgi.gateway_sockets; socket; socket = socket->next)
		if (socket->owner && !strncmp(socket->owner, "uWSGI http", 10) && read_socket(socket->fd, endpoint))
			return true;
	return false;
}

void consul_endpoint_of_sockets(struct consul_endpoint *endpoint)
{
	bool found = read_router(endpoint);
	for (struct uwsgi_socket *socket = uwsgi.sockets; socket && !found; socket = socket->next)
		found = socket->bound && read_socket(socket->fd, endpoint);
	if (!found)
		memset(endpoint, 0, sizeof(*endpoint));
}
