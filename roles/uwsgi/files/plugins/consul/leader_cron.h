/* SPDX-License-Identifier: BSD-2-Clause
 * The core's crons, for the leader only. */
#ifndef CONSUL_LEADER_CRON_H
#define CONSUL_LEADER_CRON_H

struct consul_election_config;

/* In the process that will be the master. `election` must live as long as the instance. */
void consul_leader_cron_add(const struct consul_election_config *election);

#endif
