/* SPDX-License-Identifier: BSD-2-Clause
 * Lines of an answer's head: an index is taken from `X-Consul-Index: N` and from nothing else. */
#define _GNU_SOURCE
#include "fuzz.h"

#include <strings.h>

#include "header.h"

#define BEFORE 4711

/* The same by other means; BEFORE where the line says nothing. */
static uint64_t index_of(const char *line)
{
	unsigned long long number;
	int start = 0, end = 0;
	if (strncasecmp(line, "X-Consul-Index:", 15))
		return BEFORE;
	line += 15 + strspn(line + 15, " ");
	/* Not more than 18 digits: with those of the greatest numbers it is nobody's business whether they are taken. */
	if (sscanf(line, "%n%18[0-9]%n", &start, (char[32]){0}, &end) != 1 || line[end + (int) strspn(line + end, "\r\n\t ")])
		return BEFORE;
	return sscanf(line, "%llu", &number) == 1 ? number : BEFORE;
}

static bool has_many_digits(const char *line)
{
	const char *digits = strpbrk(line, "0123456789");
	return digits && strspn(digits, "0123456789") > 18;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t index = BEFORE;
	char *line = malloc(size ? size : 1); /* not ended by 0 */
	char *text = fuzz_text(data, size);
	must(line);
	memcpy(line, data, size);
	consul_header_index(line, size, &index);
	if (strlen(text) < size)
		must(index == BEFORE || index == index_of(text));
	else if (!has_many_digits(text))
		must(index == index_of(text));
	free(text);
	free(line);
	return 0;
}
