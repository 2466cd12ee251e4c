/* SPDX-License-Identifier: BSD-2-Clause */
#include "../core.h"
#include "process_setup.h"

#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>

#include "agent_process.h"

#define KEPT 3

static void close_from(int first)
{
#ifdef SYS_close_range
	if (!syscall(SYS_close_range, (unsigned) first, ~0U, 0))
		return;
#endif
	for (int i = first; i < (int) uwsgi.max_fd; i++)
		close(i);
}

/* A vassal on demand has its listening socket there. */
static void leave_stdin(void)
{
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0)
		close(STDIN_FILENO); /* some chroots have no /dev/null */
}

/* Sockets of the instance, of its Emperor and of its apps: held open here, they would outlive the instance. */
static bool close_inherited(int *kept)
{
	leave_stdin();
	if (*kept != KEPT && dup3(*kept, KEPT, O_CLOEXEC) < 0)
		return false;
	*kept = KEPT;
	close_from(KEPT + 1);
	return true;
}

static bool group_of_workers(gid_t *gid)
{
	const struct group *group = uwsgi.gidname ? getgrnam(uwsgi.gidname) : NULL;
	*gid = group ? group->gr_gid : (gid_t) uwsgi.gid;
	return group || !uwsgi.gidname;
}

static bool user_of_workers(uid_t *uid)
{
	const struct passwd *user = uwsgi.uidname ? getpwnam(uwsgi.uidname) : NULL;
	*uid = user ? user->pw_uid : (uid_t) uwsgi.uid;
	return user || !uwsgi.uidname;
}

static bool set_own_groups(uid_t uid, gid_t gid)
{
	const struct passwd *user = uwsgi.uidname ? getpwnam(uwsgi.uidname) : getpwuid(uid);
	if (!gid || !uid || uwsgi.no_initgroups || !user)
		return !setgroups(0, NULL);
	return !initgroups(user->pw_name, gid);
}

static bool group_of(const char *name, gid_t *gid)
{
	const struct group *group = getgrnam(name);
	*gid = group ? group->gr_gid : (gid_t) atoi(name);
	return *gid != 0;
}

/* Those of add-gid are in place of the user's, as they are for the workers. */
static bool set_additional_groups(void)
{
	gid_t groups[NGROUPS_MAX];
	size_t count = 0;
	for (struct uwsgi_string_list *item = uwsgi.additional_gids; item; item = item->next)
		if (count == NGROUPS_MAX || !group_of(item->value, &groups[count++]))
			return false;
	return !count || !setgroups(count, groups);
}

/* With `master-as-root` the core resolves uid, gid and further groups in the workers only, so here we do. */
static bool drop_root(void)
{
	uid_t uid;
	gid_t gid;
	errno = EINVAL; /* a name that nobody has sets none */
	if (geteuid() != 0)
		return true;
	if (!user_of_workers(&uid) || !group_of_workers(&gid))
		return false;
	if ((uid || gid) && (!set_own_groups(uid, gid) || (gid && !set_additional_groups())))
		return false;
	return (!gid || !setgid(gid)) && (!uid || !setuid(uid));
}

/* After dropping root, since a change of identity takes this back. */
static bool follow_master(pid_t master)
{
	if (prctl(PR_SET_PDEATHSIG, CONSUL_SIGNAL_LEAVE))
		return false;
	return getppid() == master || !raise(CONSUL_SIGNAL_LEAVE);
}

bool consul_process_setup(int *kept, pid_t master)
{
	uwsgi.mypid = getpid(); /* or the core takes us for the master */
	if (close_inherited(kept) && drop_root() && follow_master(master))
		return true;
	uwsgi_error("[consul] agent process");
	return false;
}

int consul_signal_descriptor(int one, int other)
{
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, one);
	sigaddset(&signals, other);
	int descriptor = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
	if (descriptor < 0)
		uwsgi_error("[consul] signalfd()");
	return descriptor;
}
