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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static pid_t child;
	struct consul_predecessor predecessor;
	if (!child)
		child = start_child();
	char *text = fuzz_text(data, size);
	char *entry = variable(text, child);
	char *only[] = {entry, NULL}, **before = environ;
	environ = only;
	consul_handover_take(&predecessor);
	must(!only[0]); /* nobody else sees it */
	environ = before;
	must(!predecessor.pid || predecessor.pid == child);
	must(!predecessor.pid == !predecessor.nonce && !predecessor.pid == !predecessor.id);
	if (predecessor.pid) {
		must(strlen(predecessor.nonce) == CONSUL_NONCE_LENGTH && *predecessor.id);
		must(strstr(text, predecessor.nonce) && strstr(text, predecessor.id));
	}
	consul_predecessor_clear(&predecessor);
	free(entry);
	free(text);
	return 0;
}
