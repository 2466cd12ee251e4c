/* SPDX-License-Identifier: BSD-2-Clause
 * The core's crons, for the leader only. */
#ifndef CONSUL_LEADER_CRON_H
#define CONSUL_LEADER_CRON_H

struct consul_election_config;

/* In the process that will be the master. `election` must live as long as the instance. */
void consul_leader_cron_add(const struct consul_election_config *election);

/* For the master, around a reload, whose next program finds no run in the core's table: when each cron ran last, and what runs still. The text, which
 * the caller frees, is NULL where there is none. It is taken in before the crons are added. */
char *consul_leader_cron_hand_over(void);
void consul_leader_cron_inherit(const char *text);

#endif
