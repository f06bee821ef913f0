/*
 * Which processes the daemon consists of, for `vmctl audit'.
 *
 * vmctl looks at each from outside and needs their numbers and names; what
 * nobody can see from outside (a Landlock domain) each process reports of
 * itself when it is ready.  Reports of those below vmm come through vmm.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/proto/wire.h"
#include "lib/sandbox/sandbox.h"
#include "vmd/parent/parent.h"

#define MAXPROCS 32768 /* whatever vmm says */

static struct proc *
find(struct parent *p, pid_t pid)
{
	struct proc *pr;

	TAILQ_FOREACH(pr, &p->procs, entry)
		if (pr->info.pid == pid)
			return pr;
	return NULL;
}

static void
forget(struct parent *p, struct proc *pr)
{
	TAILQ_REMOVE(&p->procs, pr, entry);
	p->nprocs--;
	proc_info_fini(&pr->info);
	free(pr);
}

int
procs_add(struct parent *p, const char *name, enum proc_kind kind, pid_t pid,
    uint32_t own)
{
	struct proc *pr;

	if ((pr = find(p, pid)) != NULL) {
		pr->info.own = own;
		return 0;
	}
	if (p->nprocs == MAXPROCS || (pr = calloc(1, sizeof(*pr))) == NULL)
		return -1;
	if ((pr->info.name = strdup(name)) == NULL) {
		free(pr);
		return -1;
	}
	pr->info.kind = kind;
	pr->info.pid = pid;
	pr->info.own = own;
	TAILQ_INSERT_TAIL(&p->procs, pr, entry);
	p->nprocs++;
	return 0;
}

void
procs_del(struct parent *p, pid_t pid)
{
	struct proc *pr;

	if ((pr = find(p, pid)) != NULL)
		forget(p, pr);
}

void
procs_lost(struct parent *p)
{
	struct proc *pr, *next;

	TAILQ_FOREACH_SAFE(pr, &p->procs, entry, next)
		if (pr->info.kind == PROC_VM || pr->info.kind == PROC_DEV)
			forget(p, pr);
}

void
procs_clear(struct parent *p)
{
	struct proc *pr;

	while ((pr = TAILQ_FIRST(&p->procs)) != NULL)
		forget(p, pr);
}

int
parent_ready(struct peer *peer, struct msg *m)
{
	struct child *c = peer_arg(peer);

	if (peer_log(peer, m) == -1 || wire_get_u32(&m->body, &c->own) == -1)
		return -1;
	return 0;
}

/* A process below vmm is ready, or has ended. */
int
parent_proc_report(struct peer *peer, struct msg *m)
{
	struct parent *p = parent_of(peer);
	struct proc_info i;

	if (proc_info_get(&m->body, &i) == -1)
		return -1;
	if (wire_end(&m->body) == -1 ||
	    (i.kind != PROC_VM && i.kind != PROC_DEV)) {
		proc_info_fini(&i);
		return -1;
	}
	if (i.own == 0)
		procs_del(p, i.pid);
	else
		procs_add(p, i.name, (enum proc_kind)i.kind, i.pid, i.own);
	proc_info_fini(&i);
	return 0;
}

static int
send_proc(struct peer *peer, struct msg_hdr hdr, const struct proc_info *i)
{
	struct ibuf *b;

	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL)
		return -1;
	if (proc_info_put(b, i) == -1) {
		ibuf_free(b);
		return -1;
	}
	return peer_send(peer, IMSG_CTL_AUDIT_DATA, hdr, b, NULL, 0);
}

static int
send_child(struct peer *peer, struct msg_hdr hdr, const struct child *c)
{
	static const enum proc_kind kinds[NCHILDREN] = {
		[CHILD_CONTROL] = PROC_CONTROL,
		[CHILD_PRIV] = PROC_PRIV,
		[CHILD_VMM] = PROC_VMM,
	};
	char name[32];
	struct proc_info i = { .name = name, .pid = c->pid, .own = c->own };

	if (c->pidfd == -1)
		return 0;
	strncpy(name, c->type->name, sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	i.kind = kinds[c - c->parent->children];
	return send_proc(peer, hdr, &i);
}

static int
send_procs(struct peer *peer, struct msg_hdr hdr, const struct parent *p)
{
	static char name[] = "parent";
	struct proc_info self = { .name = name, .kind = PROC_PARENT };
	const struct proc *pr;
	int i;

	self.pid = getpid();
	self.own = sandbox_own();
	if (send_proc(peer, hdr, &self) == -1)
		return -1;
	for (i = 0; i < NCHILDREN; i++)
		if (send_child(peer, hdr, &p->children[i]) == -1)
			return -1;
	TAILQ_FOREACH(pr, &p->procs, entry)
		if (send_proc(peer, hdr, &pr->info) == -1)
			return -1;
	return 0;
}

int
parent_audit_request(struct peer *peer, struct msg *m)
{
	struct parent *p = parent_of(peer);
	enum vmerr e = VMERR_OK;

	if (request_cred(peer, m) == NULL)
		return 0;
	if (wire_end(&m->body) == -1) {
		request_refuse(p, m, VMERR_BADMSG);
		return 0;
	}
	if (send_procs(peer, m->hdr, p) == -1)
		e = VMERR_FAILED;
	answer_fail(p, &m->hdr, IMSG_CTL_AUDIT_END, e, "%s", vmerr_text(e));
	return 0;
}
