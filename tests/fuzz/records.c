/* SPDX-License-Identifier: BSD-2-Clause
 * The cache's items as they are handed over at a reload: what is written is read, and nothing beyond the file is. */
#define _GNU_SOURCE
#include "fuzz.h"

#include "cache_records.h"

struct seen {
	const char *file;
	size_t size;
	size_t end; /* of the record before */
	size_t count;
};

static void take_any(void *context, const char *key, const char *text, size_t length)
{
	struct seen *seen = context;
	size_t start = (size_t) (text - seen->file);
	must(text >= seen->file && start <= seen->size && length <= seen->size - start);
	must(start >= seen->end + 2 * sizeof(uint64_t) + strlen(key));
	seen->end = start + length;
	seen->count++;
}

/* The input as the file. */
static void check_file(const char *file, size_t size)
{
	struct seen seen = {.file = file, .size = size};
	bool whole = consul_records_read(file, size, take_any, &seen);
	must(whole == (seen.end == size));
}

struct expected {
	char **parts; /* key, text, key, text */
	size_t count;
};

static void take_expected(void *context, const char *key, const char *text, size_t length)
{
	struct expected *expected = context;
	const char *right = expected->parts[expected->count + 1];
	must(!strcmp(key, expected->parts[expected->count]));
	must(length == strlen(right) && !memcmp(text, right, length));
	expected->count += 2;
}

static void ignore(void *context, const char *key, const char *text, size_t length)
{
	(void) context;
	(void) key;
	(void) text;
	(void) length;
}

/* The input's lines as keys and texts. */
static void check_round(char *text)
{
	char *parts[64];
	size_t count = 0;
	struct consul_text file = {0};
	for (char *rest = text; rest && count < 64;)
		parts[count++] = strsep(&rest, "\n");
	count -= count % 2;
	for (size_t i = 0; i < count; i += 2)
		consul_record_write(&file, parts[i], strlen(parts[i]), parts[i + 1], strlen(parts[i + 1]));
	struct expected expected = {.parts = parts};
	must(consul_records_read(file.bytes, file.length, take_expected, &expected));
	must(expected.count == count);
	must(!count || !consul_records_read(file.bytes, file.length - 1, ignore, NULL));
	consul_text_clear(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	char *file = malloc(size ? size : 1);
	must(file);
	memcpy(file, data, size);
	check_file(file, size);
	check_round(text);
	free(file);
	free(text);
	return 0;
}
