/*
 * `vmctl show NAME' and `status -j': the devices of running VMs in numbers,
 * which their processes are asked for.
 *
 * A guest's process may be busy, hung or hostile, so nobody waits for it
 * longer than a second; what has not come by then is left out.  Each is
 * asked one question at a time, however many clients want to know.
 */
#include <sys/stat.h>

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "lib/proto/devmsg.h"
#include "lib/proto/wire.h"
#include "lib/util/log.h"
#include "vmd/parent/parent.h"

#define PATIENCE_MS 1000

/* A client that waits for numbers. */
struct listing {
	TAILQ_ENTRY(listing) entry;
	struct parent *parent;
	struct msg_hdr hdr;
	char *name; /* of a VM, NULL: all */
	int64_t since;
	struct event *late;
};

static void
listing_free(struct listing *l)
{
	TAILQ_REMOVE(&l->parent->listings, l, entry);
	l->parent->nwaits--;
	if (l->late != NULL)
		event_free(l->late);
	free(l->name);
	free(l);
}

void
listings_drop(struct parent *p, uint64_t conn)
{
	struct listing *l, *next;

	TAILQ_FOREACH_SAFE(l, &p->listings, entry, next)
		if (conn == 0 || l->hdr.conn == conn)
			listing_free(l);
}

static void
finish(struct listing *l)
{
	info_answer(l->parent, &l->hdr, l->name, l->since);
	listing_free(l);
}

static int
has_devices(const struct vm *v)
{
	return (v->state == VMS_RUNNING || v->state == VMS_PAUSED) &&
	    v->run != NULL &&
	    (v->run->ndisks > 0 || v->run->cdrom != NULL || v->run->nnics > 0);
}

/* Is this one to answer to `l'? */
static int
concerns(const struct listing *l, const struct vm *v, const struct cred *c)
{
	return has_devices(v) && vm_may_operate(v, c) == VMERR_OK &&
	    (l->name == NULL || vm_find(l->parent, l->name) == v);
}

/* vmm forgets none, but it may die. */
static int
is_asked(const struct vm *v)
{
	return v->counting != 0 && request_find(v->parent, v->counting) != NULL;
}

static void
ask(struct vm *v)
{
	struct parent *p = v->parent;
	struct vmop_id op = {
		.name = v->spec->name,
		.id = v->spec->id,
		.generation = v->generation,
	};
	struct msg_hdr h = { 0 };
	struct request *r;

	r = request_new(p, NULL, IMSG_VMDOP_DEVICES_RESPONSE, v);
	if (r == NULL)
		return;
	r->at_vmm = 1;
	h.reqid = v->counting = r->id;
	if (child_send_id(&p->children[CHILD_VMM], IMSG_VMDOP_DEVICES_REQUEST,
		h, &op, NULL) == -1)
		request_free(p, r);
}

/* Answer `l' if nobody is to be waited for. */
static void
check(struct listing *l)
{
	const struct cred *c = conn_cred(l->parent, l->hdr.conn);
	struct vm *v;

	TAILQ_FOREACH(v, &l->parent->vms, entry)
		if (is_asked(v) && concerns(l, v, c))
			return;
	finish(l);
}

static void
late(int fd, short ev, void *arg)
{
	finish(arg);
}

int
listing_begin(struct parent *p, const struct msg_hdr *hdr, const char *name)
{
	const struct timeval tv = { .tv_sec = PATIENCE_MS / 1000 };
	const struct cred *c = conn_cred(p, hdr->conn);
	struct listing *l;
	struct vm *v;

	if (p->nwaits >= PARENT_MAXWAITS) {
		errno = EDQUOT;
		return -1;
	}
	if ((l = calloc(1, sizeof(*l))) == NULL)
		return -1;
	l->parent = p;
	l->hdr = *hdr;
	l->since = now_ms();
	TAILQ_INSERT_TAIL(&p->listings, l, entry);
	p->nwaits++;
	l->late = event_new(p->base, -1, 0, late, l);
	if ((name != NULL && (l->name = strdup(name)) == NULL) ||
	    l->late == NULL || event_add(l->late, &tv) == -1) {
		listing_free(l);
		errno = ENOMEM;
		return -1;
	}
	TAILQ_FOREACH(v, &p->vms, entry)
		if (concerns(l, v, c) && !is_asked(v))
			ask(v);
	check(l);
	return 0;
}

static void
keep(struct parent *p, const struct request *r, const struct dev_list *l)
{
	struct vm *v = vm_by_id(p, r->vm);

	if (v == NULL || v->generation != r->generation)
		return;
	v->counts = *l;
	v->counts_generation = v->generation;
	v->counts_ms = now_ms();
}

int
parent_devices_response(struct peer *peer, struct msg *m)
{
	struct parent *p = parent_of(peer);
	struct listing *l, *next;
	struct vmop_result res;
	struct dev_list list = { 0 };
	struct request *r;
	int rc;

	if (vmop_result_get(&m->body, &res) == -1)
		return -1;
	rc = res.err == VMERR_OK ? dev_list_get(&m->body, &list) : 0;
	if (rc == 0)
		rc = wire_end(&m->body);
	r = request_find(p, m->hdr.reqid);
	if (rc == 0 && r != NULL && r->answer == m->type) {
		if (res.err == VMERR_OK)
			keep(p, r, &list);
		request_free(p, r);
		TAILQ_FOREACH_SAFE(l, &p->listings, entry, next)
			check(l);
	}
	vmop_result_fini(&res);
	return rc;
}

/* Of the medium; the vm process does not know it. */
static uint64_t
cdrom_size(const struct vm *v)
{
	int fd = fdlist_get(&v->fds, FD_CDROM, 0, 0);
	struct stat st;

	if (fd == -1 || fstat(fd, &st) == -1 || st.st_size < 0)
		return 0;
	return (uint64_t)st.st_size;
}

static void
add(struct vm *v, enum dev_kind kind, uint32_t idx, int64_t since,
    struct dev_list *l)
{
	struct dev_stats *d = dev_list_add(l, kind, idx);
	const struct dev_stats *s;

	if (d == NULL)
		return;
	s = dev_list_find(&v->counts, kind, idx);
	if (s != NULL && v->counts_generation == v->generation &&
	    v->counts_ms >= since)
		*d = *s;
	if (kind == DEV_VIOSCSI)
		d->size = cdrom_size(v);
}

int
vm_devices(struct vm *v, int64_t since, struct dev_list *l)
{
	uint32_t i;

	memset(l, 0, sizeof(*l));
	if (!vm_is_up(v) || v->pid == 0 || v->run == NULL)
		return 0;
	for (i = 0; i < v->run->ndisks; i++)
		add(v, DEV_VIOBLK, i, since, l);
	if (v->run->cdrom != NULL)
		add(v, DEV_VIOSCSI, 0, since, l);
	for (i = 0; i < v->run->nnics; i++)
		add(v, DEV_VIONET, i, since, l);
	return 1;
}
