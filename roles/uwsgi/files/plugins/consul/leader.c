/* SPDX-License-Identifier: BSD-2-Clause */
#include "leader.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "config.h"
#include "memory.h"
#include "values.h"

static const struct consul_election_config *attached_election;
static struct consul_leader *attached;

int64_t consul_leader_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void consul_leader_attach(const struct consul_election_config *election, struct consul_leader *leader)
{
	attached_election = election;
	attached = election->name ? leader : NULL;
}

/* The lease is read last, and the token twice: that of one term of office must not go with the lease of the next. */
static bool read_lease(struct consul_leadership *leadership)
{
	leadership->token = atomic_load(&attached->token);
	leadership->since = atomic_load(&attached->since);
	int64_t until = atomic_load(&attached->until);
	return leadership->token && atomic_load(&attached->token) == leadership->token && consul_leader_now() < until;
}

bool consul_leader_read(struct consul_leadership *leadership)
{
	if (!attached)
		return false;
	leadership->election = attached_election->name;
	leadership->leads = read_lease(leadership);
	if (!leadership->leads)
		leadership->token = 0;
	return true;
}

/* The lease comes last and goes first: it never stands beside another term's token. */
void consul_leader_begin(struct consul_leader *leader, uint64_t token, int64_t until)
{
	atomic_store(&leader->since, consul_leader_now());
	atomic_store(&leader->token, token);
	atomic_store(&leader->until, until);
}

void consul_leader_extend(struct consul_leader *leader, int64_t until)
{
	atomic_store(&leader->until, until);
}

void consul_leader_end(struct consul_leader *leader)
{
	atomic_store(&leader->until, 0);
	atomic_store(&leader->token, 0);
}

void consul_leader_set_session(struct consul_leader *leader, const char *id)
{
	/* One that died while it wrote left an odd number. */
	unsigned number = atomic_load(&leader->session_written) | 1U;
	atomic_store(&leader->session_written, number);
	consul_cut(leader->session, sizeof(leader->session), id);
	atomic_store(&leader->session_written, number + 1);
}

bool consul_leader_session(struct consul_leader *leader, char id[CONSUL_SESSION_SIZE])
{
	unsigned number = atomic_load(&leader->session_written);
	if (number & 1U)
		return false;
	memcpy(id, leader->session, CONSUL_SESSION_SIZE);
	id[CONSUL_SESSION_SIZE - 1] = 0;
	return *id && atomic_load(&leader->session_written) == number;
}

char *consul_leader_hand_over(struct consul_leader *leader)
{
	char id[CONSUL_SESSION_SIZE];
	if (!consul_leader_session(leader, id))
		return NULL;
	memcpy(leader->handed, id, sizeof(id));
	return consul_format("%s %" PRIu64 " %" PRId64, id, atomic_load(&leader->token), atomic_load(&leader->since));
}

void consul_leader_inherit(struct consul_leader *leader, const char *text)
{
	char id[CONSUL_SESSION_SIZE];
	uint64_t token;
	int64_t since;
	_Static_assert(CONSUL_SESSION_SIZE == 64, "the width below");
	if (sscanf(text, "%63s %" SCNu64 " %" SCNd64, id, &token, &since) != 3)
		return;
	consul_leader_set_session(leader, id);
	atomic_store(&leader->token, token);
	atomic_store(&leader->since, since);
}
