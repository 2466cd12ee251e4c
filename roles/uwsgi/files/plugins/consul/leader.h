/* SPDX-License-Identifier: BSD-2-Clause
 * Whether this instance is the leader now. The agent process writes it to shared memory; workers, crons and commands ask. Leadership is a lease:
 * it ends by itself, so that whoever asks is right even while the agent process hangs, is paused or is dead. */
#ifndef CONSUL_LEADER_H
#define CONSUL_LEADER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Consul's ids of sessions have 36 characters. */
#define CONSUL_SESSION_SIZE 64

struct consul_election_config;

/* In shared memory, zeroed. */
struct consul_leader {
	_Atomic int64_t until; /* the end of the lease, on the clock of consul_leader_now(); 0: not the leader */
	_Atomic int64_t since; /* of this term of office */
	_Atomic uint64_t token; /* for fencing: greater than that of every leader before; 0: no term of office has begun */
	_Atomic unsigned session_written; /* odd: it is being written */
	char session[CONSUL_SESSION_SIZE]; /* that holds, or may soon hold, the leader's key; "": none */
	char handed[CONSUL_SESSION_SIZE]; /* what the master told its successor, just before it became another program */
};

struct consul_leadership {
	const char *election; /* its name */
	bool leads;
	uint64_t token; /* 0 unless it leads */
	int64_t since;
};

/* Milliseconds, also of the time in which the machine was suspended. */
int64_t consul_leader_now(void);

/* For every process: false where the instance takes part in no election. The answer is true of this very moment, not of the next one. */
bool consul_leader_read(struct consul_leadership *leadership);

/* For the master, before it forks: what consul_leader_read() reads. Both must live as long as the instance. */
void consul_leader_attach(const struct consul_election_config *election, struct consul_leader *leader);

/* For the master, around a reload: the successor of an agent process goes on with its session. The text, which the caller frees, is NULL where there is
 * none; the lease itself is not handed over. */
char *consul_leader_hand_over(struct consul_leader *leader);
void consul_leader_inherit(struct consul_leader *leader, const char *text);

/* For the agent process. */
void consul_leader_begin(struct consul_leader *leader, uint64_t token, int64_t until);
void consul_leader_extend(struct consul_leader *leader, int64_t until);
void consul_leader_end(struct consul_leader *leader);
void consul_leader_set_session(struct consul_leader *leader, const char *id);
bool consul_leader_session(struct consul_leader *leader, char id[CONSUL_SESSION_SIZE]);

#endif
