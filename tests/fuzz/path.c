/* SPDX-License-Identifier: BSD-2-Clause
 * Paths of requests: an agent reads in them what was meant, and what libcurl finds in a URL is the same. */
#include "paths.h"

#include "path.h"

/* Whatever a name is, it stays one part of the path. */
static void check_segment(const char *text)
{
	char *path = consul_path("/v1/session/info/", text);
	must(!strncmp(path, "/v1/session/info/", 17) && !strpbrk(path + 17, "/?#& "));
	check_escaped(path + 17, strlen(path + 17), text);
	free(path);
}

/* The part of a URL as libcurl reads it by the rules of the web, which take `.` and `..` out of paths. */
static char *part_of(const char *path, CURLUPart part)
{
	char url[8 * 4096], *found = NULL, *copy = NULL;
	CURLU *parsed = curl_url();
	must(parsed && snprintf(url, sizeof(url), "http://127.0.0.1:8500%s", path) < (int) sizeof(url));
	must(!curl_url_set(parsed, CURLUPART_URL, url, 0));
	if (!curl_url_get(parsed, part, &found, 0))
		copy = fuzz_text((const uint8_t *) found, strlen(found));
	curl_free(found);
	curl_url_cleanup(parsed);
	return copy;
}

static void check_key(const char *text)
{
	char *path = consul_path_of_key("/v1/kv/", text);
	char *normal = part_of(path, CURLUPART_PATH);
	must(!strncmp(path, "/v1/kv/", 7) && !strpbrk(path, "?#& "));
	check_escaped(path + 7, strlen(path + 7), text);
	must(normal);
	/* What agents would redirect is not accepted, and everything else is. */
	must(consul_path_is_taken(text) == (*text && !strcmp(path, normal) && !strstr(path, "//")));
	if (consul_path_is_taken(text))
		check_path(path, "/v1/kv/", text);
	free(normal);
	free(path);
}

static void check_query(const char *text)
{
	char *path = consul_path_add(consul_path_add(consul_path_add(consul_path("/v1/", "kv"), "recurse", NULL), "dc", text), "index", "17");
	char *query = part_of(path, CURLUPART_QUERY);
	must(query && !strncmp(query, "recurse&dc=", 11) && !strncmp(path, "/v1/kv?", 7));
	size_t length = strcspn(query + 11, "&");
	check_escaped(query + 11, length, text);
	must(!strcmp(query + 11 + length, "&index=17"));
	free(query);
	free(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	check_segment(text);
	check_key(text);
	check_query(text);
	free(text);
	return 0;
}
