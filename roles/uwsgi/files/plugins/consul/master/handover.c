/* SPDX-License-Identifier: BSD-2-Clause */
#include "../core.h"
#include "handover.h"

#include "../agent/agent_process.h"
#include "../base/memory.h"
#include "board.h"

/* Not UWSGI_...: the core takes those for options. */
#define VARIABLE "CONSUL_PLUGIN_HANDOVER"
#define LEADERSHIP "CONSUL_PLUGIN_LEADERSHIP"
#define CRONS "CONSUL_PLUGIN_CRONS"

/* Only a child of this very process can be its predecessor: whatever else the environment says is not for us. */
static bool is_our_child(pid_t pid)
{
	return pid > 1 && waitpid(pid, NULL, WNOHANG) == 0;
}

static void parse(const char *text, struct consul_predecessor *predecessor)
{
	char *after;
	long pid = strtol(text, &after, 10);
	if (*after != ' ' || strlen(after + 1) < CONSUL_NONCE_LENGTH + 1 || after[1 + CONSUL_NONCE_LENGTH] != ' ')
		return;
	if (pid != (long) (pid_t) pid || !is_our_child((pid_t) pid))
		return;
	predecessor->pid = (pid_t) pid;
	predecessor->nonce = consul_copy(after + 1, CONSUL_NONCE_LENGTH);
	predecessor->ids = consul_format("%s", after + 1 + CONSUL_NONCE_LENGTH + 1);
}

/* They are the master's own, whose pid stays. */
static char *parse_crons(const char *text)
{
	char *after;
	long pid = strtol(text, &after, 10);
	return pid == (long) getpid() && *after == ' ' ? consul_format("%s", after + 1) : NULL;
}

void consul_handover_take(struct consul_predecessor *predecessor)
{
	const char *text = getenv(VARIABLE);
	const char *leadership = getenv(LEADERSHIP);
	const char *crons = getenv(CRONS);
	memset(predecessor, 0, sizeof(*predecessor));
	if (text)
		parse(text, predecessor);
	if (predecessor->pid && leadership)
		predecessor->leadership = consul_format("%s", leadership);
	if (crons)
		predecessor->crons = parse_crons(crons);
	if (unsetenv(VARIABLE) || unsetenv(LEADERSHIP) || unsetenv(CRONS))
		uwsgi_error("[consul] unsetenv()");
}

void consul_handover_leave(pid_t pid, const char *nonce, const char *leadership, const char *ids)
{
	char *text = consul_format("%d %s %s", (int) pid, nonce, ids);
	if (setenv(VARIABLE, text, 1) || (leadership && setenv(LEADERSHIP, leadership, 1)))
		uwsgi_error("[consul] setenv()");
	free(text);
}

void consul_handover_leave_crons(const char *crons)
{
	char *text = consul_format("%d %s", (int) getpid(), crons);
	if (setenv(CRONS, text, 1))
		uwsgi_error("[consul] setenv()");
	free(text);
}

static bool tell(struct consul_predecessor *predecessor, int signum)
{
	bool told = !predecessor->pid || !kill(predecessor->pid, signum) || errno != EPERM;
	consul_predecessor_clear(predecessor);
	return told;
}

bool consul_predecessor_dismiss(struct consul_predecessor *predecessor)
{
	return tell(predecessor, CONSUL_SIGNAL_LEAVE);
}

bool consul_predecessor_relieve(struct consul_predecessor *predecessor)
{
	return tell(predecessor, CONSUL_SIGNAL_RELIEVED);
}

void consul_predecessor_clear(struct consul_predecessor *predecessor)
{
	free(predecessor->nonce);
	free(predecessor->ids);
	free(predecessor->leadership);
	free(predecessor->crons);
	memset(predecessor, 0, sizeof(*predecessor));
}
