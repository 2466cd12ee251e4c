/* SPDX-License-Identifier: BSD-2-Clause
 * The ACL token in its file. Its value goes into one request header and nowhere else. */
#ifndef CONSUL_TOKEN_H
#define CONSUL_TOKEN_H

#include <stdbool.h>

struct consul_token;

/* NULL when the file holds a token that can be read, else why not (the caller frees it). */
char *consul_token_check(const char *path);

/* The value in the file, or where there is no file, `fixed`. Both may be NULL: then there never is a value. */
struct consul_token *consul_token_new(const char *path, const char *fixed);
void consul_token_free(struct consul_token *token);

/* The value, read again when the file has changed; the last good one while it can't be read; NULL when there is none. */
const char *consul_token_value(struct consul_token *token);

/* Changes whenever the value does. */
unsigned consul_token_version(const struct consul_token *token);

#endif
