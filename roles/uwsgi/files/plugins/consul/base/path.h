/* SPDX-License-Identifier: BSD-2-Clause
 * Paths of requests with their queries; whatever stands in them is escaped here. */
#ifndef CONSUL_PATH_H
#define CONSUL_PATH_H

#include <stdbool.h>

/* Whether an agent takes such a name in a path: one that is empty, or has a part between slashes that is empty, . or .., it answers with a redirect. */
bool consul_path_is_taken(const char *name);

/* `before` as it is, then `segment` with all but letters, digits and -_.~ escaped. The caller frees it. */
char *consul_path(const char *before, const char *segment);

/* The same for a name in which slashes separate folders. */
char *consul_path_of_key(const char *before, const char *key);

/* Adds `name=value` (NULL: only the name) to the path's query, and returns what takes the path's place. */
char *consul_path_add(char *path, const char *name, const char *value);

#endif
