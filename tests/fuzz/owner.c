/* SPDX-License-Identifier: BSD-2-Clause
 * An agent's answer to the question whose a registration is. Taking another's for ours would deregister it. */
#include "fuzz.h"

#include <jansson.h>

#include "registration.h"

#define NONCE "0123456789abcdef0123456789abcdef"

/* The input as the agent's whole answer. */
static void check_answer(const char *body, size_t length)
{
	const char *found = NULL;
	enum consul_owner owner = consul_lookup_owner(body, length, NONCE);
	json_t *answer = json_loadb(body, length, 0, NULL);
	bool ours = !json_unpack(answer, "{s:{s:s}}", "Meta", CONSUL_NONCE_KEY, &found) && !strcmp(found, NONCE);
	must(owner != CONSUL_OURS || ours);
	must(owner == CONSUL_UNCLEAR || json_is_object(answer));
	json_decref(answer);
}

/* The input as the nonce in a registration. */
static void check_nonce(const char *text, size_t length)
{
	json_t *answer = json_pack("{s:s, s:{s:s%, s:s}}", "ID", "web", "Meta", CONSUL_NONCE_KEY, text, length, "other", NONCE);
	char *body = answer ? json_dumps(answer, 0) : NULL;
	if (body && !memchr(text, 0, length)) {
		bool same = !strcmp(text, NONCE);
		must(consul_lookup_owner(body, strlen(body), NONCE) == (same ? CONSUL_OURS : CONSUL_ANOTHERS));
		must(consul_lookup_owner(body, strlen(body) - 1, NONCE) == CONSUL_UNCLEAR);
	}
	free(body);
	json_decref(answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	check_answer(text, size);
	check_nonce(text, size);
	free(text);
	return 0;
}
