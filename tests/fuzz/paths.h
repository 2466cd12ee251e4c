/* SPDX-License-Identifier: BSD-2-Clause
 * What must hold of the path of every request. */
#ifndef PATHS_H
#define PATHS_H

#include <curl/curl.h>

#include "fuzz.h"

/* The escaped text stands for `meant` and nothing else. */
static inline void check_escaped(const char *escaped, size_t length, const char *meant)
{
	int count = 0;
	char *again = curl_easy_unescape(NULL, escaped, (int) length, &count);
	must(!length || again);
	must((length ? (size_t) count : 0) == strlen(meant) && !memcmp(again ? again : "", meant, strlen(meant)));
	curl_free(again);
}

/* An agent takes it as it is, and does not answer with a redirect to another one: no part is empty, . or .., and nothing is left to escape. */
static inline void check_taken(const char *path)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~%:";
	size_t parts = strcspn(path, "?");
	must(*path == '/');
	for (const char *part = path + 1; part < path + parts; part += strcspn(part, "/?") + 1) {
		size_t length = strcspn(part, "/?");
		must(length && strspn(part, plain) == length);
		must(!(length == 1 && part[0] == '.') && !(length == 2 && part[0] == '.' && part[1] == '.'));
	}
}

/* The path is `before`, then `meant` escaped, then perhaps a query. */
static inline void check_path(const char *path, const char *before, const char *meant)
{
	must(!strncmp(path, before, strlen(before)));
	check_taken(path);
	check_escaped(path + strlen(before), strcspn(path + strlen(before), "?"), meant);
}

#endif
