/* SPDX-License-Identifier: BSD-2-Clause
 * What a process finds in its environment of the life before a reload: only a child of its own is believed. */
#define _GNU_SOURCE
#include "fuzz.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "board.h"
#include "handover.h"

#define NAME "CONSUL_PLUGIN_HANDOVER="
#define LEADERSHIP "CONSUL_PLUGIN_LEADERSHIP="

static pid_t start_child(void)
{
	pid_t parent = getpid(), child = fork();
	must(child >= 0);
	if (child)
		return child;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(1);
	for (;;)
		pause();
}

/* A leading `@` stands for the child's pid, which no input could guess. */
static char *variable(const char *text, pid_t child)
{
	size_t most = sizeof(NAME) + 16 + strlen(text);
	char *whole = malloc(most);
	must(whole);
	if (*text == '@')
		snprintf(whole, most, NAME "%d%s", (int) child, text + 1);
	else
		snprintf(whole, most, NAME "%s", text);
	return whole;
}

/* What stands behind the last newline is the leadership; an input without one has none. Freed by the caller, or NULL. */
static char *split_leadership(char *text)
{
	char *newline = strrchr(text, '\n'), *entry = NULL;
	if (!newline)
		return NULL;
	*newline = 0;
	must(asprintf(&entry, LEADERSHIP "%s", newline + 1) > 0);
	return entry;
}

static void check_predecessor(const struct consul_predecessor *predecessor, const char *text, const char *leadership)
{
	/* An instance without services has no ids, but says so. */
	must(strlen(predecessor->nonce) == CONSUL_NONCE_LENGTH && strstr(text, predecessor->nonce));
	must(strlen(text) >= strlen(predecessor->ids) && !strcmp(text + strlen(text) - strlen(predecessor->ids), predecessor->ids));
	must(!predecessor->leadership == !leadership);
	must(!leadership || !strcmp(leadership + strlen(LEADERSHIP), predecessor->leadership));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static pid_t child;
	struct consul_predecessor predecessor;
	if (!child)
		child = start_child();
	char *text = fuzz_text(data, size);
	char *leadership = split_leadership(text);
	char *entry = variable(text, child);
	char *both[] = {leadership ? leadership : entry, leadership ? entry : NULL, NULL}, **before = environ;
	environ = both;
	consul_handover_take(&predecessor);
	must(!both[0]); /* nobody else sees them */
	environ = before;
	must(!predecessor.pid || predecessor.pid == child);
	must(!predecessor.pid == !predecessor.nonce && !predecessor.pid == !predecessor.ids);
	must(predecessor.pid || !predecessor.leadership);
	if (predecessor.pid)
		check_predecessor(&predecessor, text, leadership);
	consul_predecessor_clear(&predecessor);
	free(leadership);
	free(entry);
	free(text);
	return 0;
}
