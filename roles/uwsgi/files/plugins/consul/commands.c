/* SPDX-License-Identifier: BSD-2-Clause */
#include "core.h"
#include "commands.h"

#include <inttypes.h>
#include <spawn.h>

#include "list.h"
#include "memory.h"

struct order {
	struct order *next;
	char *command;
	uint64_t token;
};

struct consul_commands {
	const char *subject;
	const char *election;
	struct order *first; /* runs if `pid` is set, else it is the next */
	struct order **last;
	pid_t pid; /* 0: none runs */
};

struct consul_commands *consul_commands_new(const char *subject, const char *election)
{
	struct consul_commands *commands = consul_allocate(1, sizeof(*commands));
	commands->subject = subject;
	commands->election = election;
	commands->last = &commands->first;
	return commands;
}

void consul_commands_add(struct consul_commands *commands, const struct consul_list *list, uint64_t token)
{
	for (size_t i = 0; i < list->count; i++) {
		struct order *order = consul_allocate(1, sizeof(*order));
		order->command = consul_format("%s", list->items[i]);
		order->token = token;
		*commands->last = order;
		commands->last = &order->next;
	}
}

static void remove_first(struct consul_commands *commands)
{
	struct order *order = commands->first;
	commands->first = order->next;
	if (!commands->first)
		commands->last = &commands->first;
	commands->pid = 0;
	free(order->command);
	free(order);
}

void consul_commands_free(struct consul_commands *commands)
{
	if (commands->pid) {
		consul_log("%s: \"%s\" (pid %d) still runs", commands->subject, commands->first->command, (int) commands->pid);
		remove_first(commands);
	}
	while (commands->first) {
		consul_log("%s: \"%s\" was not run, the time to stop is over", commands->subject, commands->first->command);
		remove_first(commands);
	}
	free(commands);
}

/* The present environment with ours in front of it; only the array and the first two texts are new. */
static char **environment_of(const struct consul_commands *commands, uint64_t token)
{
	size_t count = 0, kept = 2;
	while (environ[count])
		count++;
	char **variables = consul_allocate(count + 3, sizeof(*variables));
	variables[0] = consul_format("CONSUL_ELECTION=%s", commands->election);
	variables[1] = consul_format("CONSUL_ELECTION_TOKEN=%" PRIu64, token);
	for (size_t i = 0; i < count; i++)
		if (strncmp(environ[i], "CONSUL_ELECTION=", 16) && strncmp(environ[i], "CONSUL_ELECTION_TOKEN=", 22))
			variables[kept++] = environ[i];
	return variables;
}

/* The agent process blocks every signal and ignores some; the command must not. Its group is its own, so that it can be ended with all its children. */
static int prepare(posix_spawnattr_t *attributes, posix_spawn_file_actions_t *files)
{
	sigset_t none, all;
	sigemptyset(&none);
	sigfillset(&all);
	int error = posix_spawnattr_setsigmask(attributes, &none);
	if (!error)
		error = posix_spawnattr_setsigdefault(attributes, &all);
	if (!error)
		error = posix_spawnattr_setpgroup(attributes, 0);
	if (!error)
		error = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
#if __GLIBC_PREREQ(2, 34)
	if (!error)
		error = posix_spawn_file_actions_addclosefrom_np(files, STDERR_FILENO + 1);
#else
	(void) files; /* all our descriptors close by themselves */
#endif
	return error;
}

static int spawn(const struct consul_commands *commands, pid_t *pid)
{
	const struct order *order = commands->first;
	char *arguments[] = {"sh", "-c", order->command, NULL};
	posix_spawnattr_t attributes;
	posix_spawn_file_actions_t files;
	int error = posix_spawnattr_init(&attributes);
	if (error)
		return error;
	error = posix_spawn_file_actions_init(&files);
	if (!error) {
		char **environment = environment_of(commands, order->token);
		error = prepare(&attributes, &files);
		if (!error)
			error = posix_spawn(pid, "/bin/sh", &files, &attributes, arguments, environment);
		free(environment[0]);
		free(environment[1]);
		free(environment);
		posix_spawn_file_actions_destroy(&files);
	}
	posix_spawnattr_destroy(&attributes);
	return error;
}

static void start(struct consul_commands *commands)
{
	pid_t pid;
	int error = spawn(commands, &pid);
	if (!error) {
		commands->pid = pid;
		return;
	}
	consul_log("%s: \"%s\" could not be run: %s", commands->subject, commands->first->command, strerror(error));
	remove_first(commands);
}

static void report(const struct consul_commands *commands, int status)
{
	const char *command = commands->first->command;
	if (WIFSIGNALED(status))
		consul_log("%s: \"%s\" was ended by signal %d", commands->subject, command, WTERMSIG(status));
	else if (WEXITSTATUS(status))
		consul_log("%s: \"%s\" ended with status %d", commands->subject, command, WEXITSTATUS(status));
}

void consul_commands_tick(struct consul_commands *commands)
{
	int status = 0;
	if (commands->pid) {
		pid_t ended = waitpid(commands->pid, &status, WNOHANG);
		if (!ended || (ended < 0 && errno == EINTR))
			return;
		if (ended > 0)
			report(commands, status);
		remove_first(commands);
	}
	while (commands->first && !commands->pid)
		start(commands);
}

bool consul_commands_idle(const struct consul_commands *commands)
{
	return !commands->first;
}
