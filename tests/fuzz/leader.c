/* SPDX-License-Identifier: BSD-2-Clause
 * Leadership over a reload: whatever the text says, the lease itself is not handed over, and what one process says the next one understands. */
#include "fuzz.h"

#include "leader.h"
#include "values.h"

static void check_same(struct consul_leader *one, struct consul_leader *other)
{
	char id[CONSUL_SESSION_SIZE], other_id[CONSUL_SESSION_SIZE];
	must(consul_leader_session(one, id) && consul_leader_session(other, other_id) && !strcmp(id, other_id));
	must(atomic_load(&one->token) == atomic_load(&other->token));
	must(atomic_load(&one->since) == atomic_load(&other->since));
}

/* Says it to a third, as a second reload would. */
static void check_next(struct consul_leader *leader)
{
	struct consul_leader next = {0};
	char *text = consul_leader_hand_over(leader);
	must(text);
	consul_leader_inherit(&next, text);
	check_same(leader, &next);
	must(!atomic_load(&next.until));
	free(text);
}

/* The input as the text. */
static void check_text(const char *text)
{
	struct consul_leader leader = {0};
	char id[CONSUL_SESSION_SIZE];
	consul_leader_inherit(&leader, text);
	must(!atomic_load(&leader.until));
	if (consul_leader_session(&leader, id)) {
		must(strlen(id) < CONSUL_SESSION_SIZE && strstr(text, id) && !strpbrk(id, " \t\n\v\f\r"));
		check_next(&leader);
	} else {
		must(!atomic_load(&leader.token) && !atomic_load(&leader.since));
	}
}

/* The input as the id of a session; Consul's have no blanks. */
static void check_session(const char *text, size_t size)
{
	struct consul_leader leader = {0};
	char id[CONSUL_SESSION_SIZE];
	consul_leader_set_session(&leader, text);
	bool there = consul_leader_session(&leader, id);
	must(there || !*text || (strlen(text) >= CONSUL_SESSION_SIZE && !consul_is_clean(text)));
	if (!there)
		return;
	must(!strncmp(text, id, strlen(id)));
	must(strlen(text) >= CONSUL_SESSION_SIZE || !strcmp(text, id));
	consul_leader_begin(&leader, size ? size * 0x123456789abcdefULL : 1, consul_leader_now() + 1000);
	if (!strpbrk(id, " \t\n\v\f\r"))
		check_next(&leader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_text(data, size);
	check_text(text);
	check_session(text, size);
	free(text);
	return 0;
}
