/* SPDX-License-Identifier: BSD-2-Clause
 * Addresses of agents: what is accepted is a URL for libcurl too, made of a scheme, a host, a port and perhaps a prefix, and nothing else. */
#include "fuzz.h"

#include <curl/curl.h>

#include "address.h"
#include "values.h"

static bool has(CURLU *url, CURLUPart part)
{
	char *text = NULL;
	bool found = !curl_url_get(url, part, &text, 0) && *text;
	curl_free(text);
	return found;
}

static void check_base(const char *base)
{
	CURLU *url = curl_url();
	char *path = NULL;
	must(url);
	must(!strncmp(base, "http://", 7) || !strncmp(base, "https://", 8));
	must(!curl_url_set(url, CURLUPART_URL, base, 0));
	must(has(url, CURLUPART_HOST) && has(url, CURLUPART_PORT));
	must(!has(url, CURLUPART_USER) && !has(url, CURLUPART_PASSWORD) && !has(url, CURLUPART_QUERY) && !has(url, CURLUPART_FRAGMENT));
	/* A prefix of all paths, to which one can be appended. */
	const char *prefix = strchr(strstr(base, "://") + 3, '/');
	must(!curl_url_get(url, CURLUPART_PATH, &path, 0) && !strcmp(path, prefix ? prefix : "/"));
	must(base[strlen(base) - 1] != '/' && (!prefix || !strstr(prefix, "//")));
	curl_free(path);
	curl_url_cleanup(url);
}

static void check_port(const char *base)
{
	int port;
	const char *start = strrchr(base, ':') + 1;
	char *digits = strndup(start, strcspn(start, "/"));
	must(consul_parse_port(digits, &port));
	free(digits);
}

/* What it was read to reads the same again. */
static void check_again(const struct consul_address *address)
{
	struct consul_address again;
	must(consul_address_parse(address->base, &again));
	must(!strcmp(again.base, address->base));
	consul_address_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	struct consul_address address;
	bool good = consul_address_parse(text, &address);
	if (!good) {
		must(!address.name && !address.base && !address.unix_path);
	} else if (address.unix_path) {
		must(address.unix_path[0] == '/' && consul_is_clean(address.unix_path));
		must(!strcmp(address.base, "http://localhost"));
	} else {
		check_base(address.base);
		check_port(address.base);
		check_again(&address);
	}
	if (good)
		must(!strcmp(address.name, text) && consul_is_clean(address.name));
	consul_address_clear(&address);
	must(!address.name && !address.base && !address.unix_path);
	free(text);
	return 0;
}
