/* SPDX-License-Identifier: BSD-2-Clause
 * Token files: what is read from one fits into one request header. */
#define _GNU_SOURCE
#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include "token.h"

/* A file without a name, written anew for each input. */
static int file_with(const uint8_t *data, size_t size)
{
	static int file = -1;
	if (file < 0)
		file = memfd_create("token", 0);
	must(file >= 0 && !ftruncate(file, 0) && pwrite(file, data, size, 0) == (ssize_t) size);
	return file;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file_with(data, size));
	char *trouble = consul_token_check(path);
	struct consul_token *token = consul_token_new(path, NULL);
	const char *value = consul_token_value(token);
	must(!value == !!trouble);
	must(!trouble || !fuzz_has_controls(trouble));
	if (value) {
		must(*value && strlen(value) <= 4096);
		must(!strpbrk(value, " \t\r\n") && memmem(data, size, value, strlen(value)));
		for (const char *byte = value; *byte; byte++)
			must((unsigned char) *byte > 0x20 && *byte != 0x7f);
		must(consul_token_value(token) == value);
	}
	consul_token_free(token);
	free(trouble);
	return 0;
}
