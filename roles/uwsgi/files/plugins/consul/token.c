/* SPDX-License-Identifier: BSD-2-Clause */
#include "core.h"
#include "token.h"

#include "memory.h"

#define LONGEST_TOKEN 4096

struct consul_token {
	char *path;
	char *value;
	struct stat seen; /* what the file was when it was last read */
	unsigned version;
	bool troubled; /* said once in the log */
};

static void forget(char *value)
{
	if (value)
		explicit_bzero(value, strlen(value));
	free(value);
}

/* What is in the file, without the white space around; NULL with `trouble` set where it is no token. */
static char *parse(char *text, size_t length, const char **trouble)
{
	char *start = text + strspn(text, " \t\r\n");
	char *end = start + strcspn(start, " \t\r\n");
	if (strlen(text) < length)
		*trouble = "the file holds what can't be a token";
	else if (start == end)
		*trouble = "the file is empty";
	else if (end[strspn(end, " \t\r\n")])
		*trouble = "the file must hold one token and nothing else";
	for (const char *byte = start; byte < end && !*trouble; byte++)
		if (*byte <= 0x20 || *byte == 0x7f)
			*trouble = "the file holds what can't be a token";
	return *trouble ? NULL : consul_copy(start, (size_t) (end - start));
}

static char *read_token(const char *path, const char **trouble)
{
	char text[LONGEST_TOKEN + 1];
	size_t length = 0;
	ssize_t got = 1;
	*trouble = NULL;
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	while (file >= 0 && length < LONGEST_TOKEN && (got = read(file, text + length, LONGEST_TOKEN - length)) > 0)
		length += (size_t) got;
	if (file < 0 || got < 0)
		*trouble = strerror(errno);
	else if (length == LONGEST_TOKEN)
		*trouble = "the file is too long for a token";
	if (file >= 0)
		close(file);
	text[length] = 0;
	char *value = *trouble ? NULL : parse(text, length, trouble);
	explicit_bzero(text, sizeof(text));
	return value;
}

char *consul_token_check(const char *path)
{
	const char *trouble;
	forget(read_token(path, &trouble));
	return trouble ? consul_format("a file with a token, readable by this instance, is right (%s)", trouble) : NULL;
}

struct consul_token *consul_token_new(const char *path, const char *fixed)
{
	struct consul_token *token = consul_allocate(1, sizeof(*token));
	token->path = path ? consul_format("%s", path) : NULL;
	token->value = !path && fixed ? consul_format("%s", fixed) : NULL;
	return token;
}

void consul_token_free(struct consul_token *token)
{
	forget(token->value);
	free(token->path);
	free(token);
}

static bool same_file(const struct stat *one, const struct stat *other)
{
	return one->st_ino == other->st_ino && one->st_dev == other->st_dev && one->st_size == other->st_size &&
	       one->st_mtim.tv_sec == other->st_mtim.tv_sec && one->st_mtim.tv_nsec == other->st_mtim.tv_nsec &&
	       one->st_ctim.tv_sec == other->st_ctim.tv_sec && one->st_ctim.tv_nsec == other->st_ctim.tv_nsec;
}

static void report(struct consul_token *token, const char *trouble)
{
	if (trouble && !token->troubled && token->value)
		consul_log("token file %s can't be read again (%s): the last token stays in use", token->path, trouble);
	else if (trouble && !token->troubled)
		consul_log("token file %s can't be read (%s): requests go without a token", token->path, trouble);
	token->troubled = trouble != NULL;
}

const char *consul_token_value(struct consul_token *token)
{
	struct stat now;
	const char *trouble = NULL;
	if (!token->path)
		return token->value;
	if (stat(token->path, &now)) {
		report(token, strerror(errno));
		return token->value;
	}
	if (token->value && same_file(&now, &token->seen))
		return token->value;
	char *value = read_token(token->path, &trouble);
	report(token, trouble);
	if (value) {
		token->version += !token->value || strcmp(token->value, value);
		forget(token->value);
		token->value = value;
		token->seen = now;
	}
	return token->value;
}

unsigned consul_token_version(const struct consul_token *token)
{
	return token->version;
}
