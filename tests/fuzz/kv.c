/* SPDX-License-Identifier: BSD-2-Clause
 * Consul's keys: whatever an agent answers, what goes into the cache is JSON that apps can read; and a value, its key and its flags come through. */
#define _GNU_SOURCE
#include "fuzz.h"

#include <jansson.h>

#include "answer_kv.h"

/* Flags have 64 bits without a sign: with this even those can be read. */
#define READING (JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL)

struct seen {
	json_t *keys;
	char *last; /* entry */
};

static void take_entry(void *context, const char *key, const struct consul_text *entry)
{
	struct seen *seen = context;
	json_t *item = json_loadb(entry->bytes, entry->length, READING, NULL), *value = json_object_get(item, "value");
	json_t *session = json_object_get(item, "session");
	must(json_is_object(item) && !strcmp(json_string_value(json_object_get(item, "key")), key));
	must(json_is_number(json_object_get(item, "flags")) && json_is_number(json_object_get(item, "index")));
	must(json_is_string(session) || json_is_null(session));
	must(json_is_string(value) ? !json_object_get(item, "base64") : json_is_null(value) && json_is_string(json_object_get(item, "base64")));
	must(json_object_size(item) == (json_is_string(value) ? 5 : 6));
	must(!json_array_append_new(seen->keys, json_string(key)));
	free(seen->last);
	seen->last = strndup(entry->bytes, entry->length);
	json_decref(item);
}

static void check_keys(const struct consul_text *text, const json_t *keys)
{
	struct consul_text object = {0};
	consul_text_add(&object, "{", 1);
	consul_text_add(&object, text->bytes, text->length);
	consul_text_add(&object, "}", 1);
	json_t *read = json_loadb(object.bytes, object.length, READING, NULL);
	must(json_object_size(read) == 1 && json_equal(json_object_get(read, "keys"), keys));
	json_decref(read);
	consul_text_clear(&object);
}

/* Gives the last entry, which the caller frees, or NULL. */
static char *check_body(const char *body, size_t length, bool *good)
{
	struct seen seen = {.keys = json_array()};
	struct consul_text text = {0};
	*good = consul_answer_kv(body, length, take_entry, &seen, &text);
	must(*good || !json_array_size(seen.keys));
	if (*good)
		check_keys(&text, seen.keys);
	json_decref(seen.keys);
	consul_text_clear(&text);
	return seen.last;
}

/* The input as a value, and as a key where it can be one. */
static void check_entry(const uint8_t *data, size_t size)
{
	bool good;
	unsigned long long flags = 0;
	char body[16 * 4096], line[64];
	memcpy(&flags, data, size < sizeof(flags) ? size : sizeof(flags));
	char *base64 = fuzz_base64(data, size);
	json_t *value = json_stringn((const char *) data, size), *key = json_stringn((const char *) data, strnlen((const char *) data, size));
	char *key_text = key ? json_dumps(key, JSON_ENCODE_ANY) : strdup("\"key\"");
	int length = snprintf(body, sizeof(body), "[{\"LockIndex\":0,\"Key\":%s,\"Flags\":%llu,\"Value\":%s%s%s,\"CreateIndex\":7,\"ModifyIndex\":8}]",
			      key_text, flags, size ? "\"" : "", size ? base64 : "null", size ? "\"" : "");
	must(length > 0 && length < (int) sizeof(body));
	char *entry = check_body(body, (size_t) length, &good);
	must(good && entry);
	json_t *item = json_loads(entry, READING, NULL), *told = json_object_get(item, "value");
	must(value ? json_equal(told, value) : json_is_null(told) && !strcmp(json_string_value(json_object_get(item, "base64")), base64));
	must(json_number_value(json_object_get(item, "index")) == 8 && (!key || json_equal(json_object_get(item, "key"), key)));
	snprintf(line, sizeof(line), "\"flags\":%llu", flags);
	char *found = strrchr(entry, '}') ? strcasestr(entry, line) : NULL;
	must(found && strchr(",}", found[strlen(line)]));
	json_decref(item);
	json_decref(value);
	json_decref(key);
	free(key_text);
	free(base64);
	free(entry);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool good;
	char *text = fuzz_text(data, size);
	free(check_body(text, size, &good));
	must(size || good);
	check_entry((const uint8_t *) text, size);
	free(text);
	return 0;
}
