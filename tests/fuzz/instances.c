/* SPDX-License-Identifier: BSD-2-Clause
 * The instances of a service: whatever an agent answers, apps read a list in its fixed shape and order, and of the right states. */
#define _GNU_SOURCE
#include "fuzz.h"

#include <jansson.h>

#include "answer_instances.h"

#define READING (JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES)

static json_t *read_text(const struct consul_text *text)
{
	struct consul_text object = {0};
	consul_text_add(&object, "{", 1);
	consul_text_add(&object, text->bytes, text->length);
	consul_text_add(&object, "}", 1);
	json_t *read = json_loadb(object.bytes, object.length, READING, NULL);
	must(read);
	consul_text_clear(&object);
	return read;
}

static const char *word(const json_t *instance, const char *key)
{
	const char *text = json_string_value(json_object_get(instance, key));
	must(text);
	return text;
}

static void check_addresses(json_t *addresses)
{
	const char *name;
	json_t *address;
	must(json_is_object(addresses));
	json_object_foreach(addresses, name, address)
	{
		must(json_object_size(address) == 2 && json_is_string(json_object_get(address, "address")));
		must(json_is_integer(json_object_get(address, "port")));
	}
}

static void check_instance(const json_t *instance, enum consul_state worst)
{
	static const char *const texts[] = {"node", "node_address", "service", "id", "address"}, *const objects[] = {"node_meta", "meta"};
	const json_t *datacenter = json_object_get(instance, "datacenter"), *weights = json_object_get(instance, "weights");
	const char *status = word(instance, "status");
	must(json_object_size(instance) == 13);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		word(instance, texts[i]);
	for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++)
		must(json_is_object(json_object_get(instance, objects[i])));
	must(json_is_string(datacenter) || json_is_null(datacenter));
	must(json_is_integer(json_object_get(instance, "port")) && json_is_array(json_object_get(instance, "tags")));
	must(json_object_size(weights) == 2 && json_is_integer(json_object_get(weights, "passing")) && json_is_integer(json_object_get(weights, "warning")));
	check_addresses(json_object_get(instance, "tagged_addresses"));
	must(!strcmp(status, "passing") || (worst >= CONSUL_WARNING && !strcmp(status, "warning")) ||
	     (worst == CONSUL_CRITICAL && (!strcmp(status, "critical") || !strcmp(status, "maintenance"))));
}

static int compare(const json_t *one, const json_t *other)
{
	json_int_t port = json_integer_value(json_object_get(one, "port")), other_port = json_integer_value(json_object_get(other, "port"));
	int order = strcmp(word(one, "node"), word(other, "node"));
	if (!order)
		order = port < other_port ? -1 : port > other_port;
	return order ? order : strcmp(word(one, "id"), word(other, "id"));
}

/* The number of instances. `strict`: no two of them are alike in what they are sorted by. */
static size_t check_list(const json_t *list, enum consul_state worst, bool *strict)
{
	size_t index;
	json_t *instance;
	must(json_is_array(list));
	*strict = true;
	json_array_foreach(list, index, instance)
	{
		check_instance(instance, worst);
		must(!index || compare(json_array_get(list, index - 1), instance) <= 0);
		*strict &= !index || compare(json_array_get(list, index - 1), instance) < 0;
	}
	return json_array_size(list);
}

/* Agents answer in any order. */
static void check_reversed(const json_t *entries, enum consul_state worst, const struct consul_text *text)
{
	struct consul_text other = {0};
	json_t *reversed = json_array();
	for (size_t i = json_array_size(entries); i; i--)
		must(!json_array_append(reversed, json_array_get(entries, i - 1)));
	must(consul_answer_instances(reversed, worst, &other));
	must(other.length == text->length && !memcmp(other.bytes, text->bytes, text->length));
	json_decref(reversed);
	consul_text_clear(&other);
}

static void check_service(const char *body, size_t size)
{
	size_t counts[CONSUL_CRITICAL + 1] = {0};
	json_t *entries = json_loadb(body, size, JSON_ALLOW_NUL, NULL);
	bool good = false;
	for (enum consul_state worst = CONSUL_PASSING; worst <= CONSUL_CRITICAL; worst++) {
		struct consul_text text = {0};
		bool strict, now = consul_answer_service(body, size, worst, &text);
		must(worst == CONSUL_PASSING || now == good); /* what is no answer is none whatever is wanted */
		good = now;
		if (good) {
			json_t *read = read_text(&text);
			must(json_object_size(read) == 1);
			counts[worst] = check_list(json_object_get(read, "instances"), worst, &strict);
			if (strict)
				check_reversed(entries, worst, &text);
			json_decref(read);
		}
		consul_text_clear(&text);
	}
	must(counts[CONSUL_PASSING] <= counts[CONSUL_WARNING] && counts[CONSUL_WARNING] <= counts[CONSUL_CRITICAL]);
	must(!good || counts[CONSUL_CRITICAL] == json_array_size(entries));
	json_decref(entries);
}

static void check_query(const char *body, size_t size)
{
	struct consul_text text = {0};
	bool strict;
	if (consul_answer_query(body, size, &text)) {
		json_t *read = read_text(&text);
		must(json_object_size(read) == 3 && json_is_string(json_object_get(read, "datacenter")));
		must(json_is_integer(json_object_get(read, "failovers")));
		check_list(json_object_get(read, "instances"), CONSUL_CRITICAL, &strict);
		json_decref(read);
	}
	consul_text_clear(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *body = fuzz_text(data, size);
	check_service(body, size);
	check_query(body, size);
	free(body);
	return 0;
}
