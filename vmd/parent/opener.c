/*
 * The opener: a process that opens one file and ends.
 *
 * Started by the parent for each name that somebody else chose.  It becomes
 * that person before it looks at the name, so a name can reach nothing that
 * the person could not open, and an open(2) that never returns holds up
 * nobody but this process, which the parent kills.
 */
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/proto/wire.h"
#include "lib/sandbox/hostile.h"
#include "lib/sandbox/sandbox.h"
#include "lib/util/log.h"
#include "vmd/parent/opener.h"
#include "vmd/roles.h"

#define FLUSH_MS 10000

/* For good: real, effective and saved, and all groups. */
static int
become(const struct cred *c)
{
	const struct rlimit none = { 0, 0 };

	if (setrlimit(RLIMIT_CORE, &none) == -1 || sandbox_nnp() == -1 ||
	    setgroups(c->ngroups, c->groups) == -1 ||
	    setresgid(c->gid, c->gid, c->gid) == -1 ||
	    setresuid(c->uid, c->uid, c->uid) == -1 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == -1)
		return -1;
	if (c->uid != 0 && (setuid(0) != -1 || getuid() != c->uid)) {
		errno = EPERM;
		return -1;
	}
	return 0;
}

static int
open_as(const struct open_msg *m)
{
	int flags = O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

	if (become(m->who) == -1) {
		log_warn("opener: cannot become user %u", m->who->uid);
		return -1;
	}
	if (m->how == OPEN_APPEND)
		return open(m->path, flags | O_WRONLY | O_APPEND | O_CREAT,
		    0600);
	return open(m->path, flags | (m->how == OPEN_RDWR ? O_RDWR : O_RDONLY));
}

/* What it opened is handed on only if closing it cannot wait for anybody. */
static const char *
unfit_kind(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return strerror(errno);
	if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))
		return NULL;
	if (S_ISDIR(st.st_mode))
		return "is a directory";
	if (S_ISFIFO(st.st_mode))
		return "is a FIFO";
	return "not a regular file or block device";
}

/* The descriptor, or -1 with a text in `why'. */
static int
open_one(const struct open_msg *m, char *why, size_t len)
{
	const char *kind = NULL;
	int fd, bad;

	why[0] = '\0';
	if (m->trusted) {
		fd = open_rootsafe(m->path, (enum open_how)m->how, why, len);
		if (fd != -1)
			return fd;
		/* Not root's alone: then as the owner, if that is not root. */
		if (why[0] == '\0' || m->who->uid == 0)
			goto fail;
	}
	why[0] = '\0';
	if ((fd = open_as(m)) != -1) {
		if ((bad = open_is_users(fd)) == 0 &&
		    (kind = unfit_kind(fd)) == NULL)
			return fd;
		snprintf(why, len, "%s",
		    bad == 1	 ? "is on a file system of a user" :
			bad == 0 ? kind :
				   strerror(errno));
		/* It is not closed: that may take longer than the answer. */
	}
fail:
	if (why[0] == '\0')
		strncat(why,
		    errno == EINVAL ? "not a regular file or block device" :
				      strerror(errno),
		    len - 1);
	return -1;
}

static int
opener_open_request(struct peer *p, struct msg *m)
{
	struct vmop_result r = { 0 };
	struct open_msg om;
	struct ibuf *b;
	char why[WIRE_STR_MAX];
	int fd;

	if (open_msg_get(&m->body, &om) == -1)
		return -1;
	if ((fd = open_one(&om, why, sizeof(why))) == -1) {
		r.err = VMERR_FAILED;
		r.text = why;
	}
	open_msg_fini(&om);
	hostile_hold(fd);
	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL ||
	    vmop_result_put(b, &r) == -1)
		_exit(1);
	if (peer_send(p, IMSG_OPEN_RESPONSE, m->hdr, b, &fd, fd != -1) == -1 ||
	    peer_flush(p, FLUSH_MS) == -1)
		_exit(1);
	_exit(0);
}

static const struct msg_handler opener_msgs[] = {
	{ IMSG_OPEN_REQUEST, ROLE_PARENT, opener_open_request },
};

int
opener_main(const struct proc_args *a)
{
	struct event_base *base;

	proc_init(a);
	if ((base = event_base_new()) == NULL)
		fatal("event_base_new");
	if (proc_up(base, ROLE_PARENT, opener_msgs, 1, NULL) == NULL)
		fatal("proc_up");
	if (sandbox_nnp() == -1 ||
	    sandbox_seccomp("opener", PROC_CHANNEL_FD) == -1)
		fatal("seccomp");
	proc_ready("with filter");
	event_base_dispatch(base);
	return 1;
}
