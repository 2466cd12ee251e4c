/* SPDX-License-Identifier: BSD-2-Clause */
#include "core.h"
#include "process_setup.h"

#include <grp.h>
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

/* With `master-as-root` the core resolves uid and gid in the workers only, so here we do. */
static bool drop_root(void)
{
	uid_t uid;
	gid_t gid;
	errno = EINVAL; /* a name that nobody has sets none */
	if (geteuid() != 0)
		return true;
	if (!user_of_workers(&uid) || !group_of_workers(&gid))
		return false;
	if ((uid || gid) && setgroups(0, NULL))
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
