/* SPDX-License-Identifier: BSD-2-Clause */
#include "address.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "values.h"

#define HTTP_PORT 8500
#define HTTPS_PORT 8501
#define HOST_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
#define IPV6_CHARACTERS "0123456789abcdefABCDEF:."

static bool is_ipv6(const char *text, size_t length)
{
	struct in6_addr unused;
	char *address = consul_copy(text, length);
	bool good = inet_pton(AF_INET6, address, &unused) == 1;
	free(address);
	return good;
}

/* The length of the host at `text` (brackets included), or 0 where there is none. */
static size_t host_length(const char *text)
{
	if (*text != '[')
		return strspn(text, HOST_CHARACTERS);
	size_t inside = strspn(text + 1, IPV6_CHARACTERS);
	return text[inside + 1] == ']' && is_ipv6(text + 1, inside) ? inside + 2 : 0;
}

static bool parse_authority(const char *scheme, const char *text, int port, struct consul_address *address)
{
	size_t length = host_length(text);
	const char *rest = text + length;
	if (!length)
		return false;
	if (*rest == ':') {
		char *digits = consul_copy(rest + 1, strcspn(rest + 1, "/"));
		bool good = consul_parse_port(digits, &port);
		rest += 1 + strlen(digits);
		free(digits);
		if (!good)
			return false;
	}
	if (strcmp(rest, "") && strcmp(rest, "/"))
		return false;
	address->base = consul_format("%s://%.*s:%d", scheme, (int) length, text, port);
	return true;
}

bool consul_address_parse(const char *text, struct consul_address *address)
{
	bool good;
	memset(address, 0, sizeof(*address));
	if (!strncmp(text, "unix://", 7)) {
		good = text[7] == '/' && text[8] && consul_is_clean(text);
		address->unix_path = good ? consul_format("%s", text + 7) : NULL;
		address->base = good ? consul_format("http://localhost") : NULL;
	} else if (!strncmp(text, "https://", 8)) {
		good = parse_authority("https", text + 8, HTTPS_PORT, address);
	} else if (!strncmp(text, "http://", 7)) {
		good = parse_authority("http", text + 7, HTTP_PORT, address);
	} else {
		good = parse_authority("http", text, HTTP_PORT, address);
	}
	if (good)
		address->name = consul_format("%s", text);
	return good;
}

void consul_address_clear(struct consul_address *address)
{
	free(address->name);
	free(address->base);
	free(address->unix_path);
	memset(address, 0, sizeof(*address));
}
