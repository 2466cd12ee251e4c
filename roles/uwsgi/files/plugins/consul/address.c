/* SPDX-License-Identifier: BSD-2-Clause */
#include "address.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "values.h"

#define HTTP_PORT 8500
#define HTTPS_PORT 8501
#define HOST_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"
#define IPV6_CHARACTERS "0123456789abcdefABCDEF:.%"

/* The length of the host at `text` (brackets included), or 0 where there is none. */
static size_t host_length(const char *text)
{
	if (*text != '[')
		return strspn(text, HOST_CHARACTERS);
	size_t inside = strspn(text + 1, IPV6_CHARACTERS);
	return inside && text[inside + 1] == ']' ? inside + 2 : 0;
}

/* A path before those of the API, without the slash at its end; -1 where there is none. */
static int path_length(const char *text)
{
	size_t length = strspn(text, HOST_CHARACTERS "/~%");
	if (text[length] || (*text && *text != '/') || strstr(text, "//") || strstr(text, "/."))
		return -1;
	while (length && text[length - 1] == '/')
		length--;
	return (int) length;
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
	int path = path_length(rest);
	if (path < 0)
		return false;
	address->base = consul_format("%s://%.*s:%d%.*s", scheme, (int) length, text, port, path, rest);
	return true;
}

static bool parse_url(const char *text, int http_port, int https_port, struct consul_address *address)
{
	if (!strncmp(text, "https://", 8))
		return parse_authority("https", text + 8, https_port, address);
	return !strncmp(text, "http://", 7) && parse_authority("http", text + 7, http_port, address);
}

static bool parse_unix(const char *text, struct consul_address *address)
{
	if (strncmp(text, "unix:///", 8) || !text[8] || !consul_is_clean(text))
		return false;
	address->unix_path = consul_format("%s", text + 7);
	address->base = consul_format("http://localhost");
	return true;
}

static bool named(struct consul_address *address, const char *text, bool good)
{
	if (good)
		address->name = consul_format("%s", text);
	return good;
}

bool consul_address_parse(const char *text, struct consul_address *address)
{
	memset(address, 0, sizeof(*address));
	if (strstr(text, "://"))
		return named(address, text, parse_unix(text, address) || parse_url(text, HTTP_PORT, HTTPS_PORT, address));
	return named(address, text, !strchr(text, '/') && parse_authority("http", text, HTTP_PORT, address));
}

bool consul_address_parse_url(const char *text, struct consul_address *address)
{
	memset(address, 0, sizeof(*address));
	return named(address, text, parse_url(text, 80, 443, address));
}

void consul_address_clear(struct consul_address *address)
{
	free(address->name);
	free(address->base);
	free(address->unix_path);
	memset(address, 0, sizeof(*address));
}
