/*
 * Fakes of everything around the parent; see parent_fake.h.
 */

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

#include "lib/sandbox/sandbox.h"
#include "proc/spawn.h"
#include "regress/unit/parent_fake.h"
#include "vmd/parent/net_int.h"
#include "vmd/parent/opener.h"

#define PATIENCE 10 /* seconds */

struct fake control = { .name = "control", .channel = -1 };
struct fake vmm = { .name = "vmm", .channel = -1 };
struct fake priv = { .name = "priv", .channel = -1 };
static struct fake *const fakes[] = { &control, &vmm, &priv };

struct parent parent;
static struct parent_args args;
static char dir[] = "/tmp/parent_test.XXXXXX";
static char sock[64], state_dir[64];

/* --- an opener that does not ask ---------------------------------------- */

unsigned int helpers, helpers_reaped;

static int
opener_request(struct peer *p, struct msg *m)
{
	const struct vmop_result r = { 0 };
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);
	struct open_msg om;
	int fd;

	assert_int_equal(open_msg_get(&m->body, &om), 0);
	fd = open(om.path,
	    (om.how == OPEN_RDWR ? O_RDWR : O_RDONLY) | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1)
		fd = memfd_create("file", MFD_CLOEXEC);
	open_msg_fini(&om);
	assert_int_equal(vmop_result_put(b, &r), 0);
	return peer_send(p, IMSG_OPEN_RESPONSE, m->hdr, b, &fd, 1);
}

/* --- an image that says what the test wants ---------------------------- */

enum image_mood image_mood;
struct image_info image_says;

static void
image_answer(struct peer *p, uint32_t type)
{
	const struct msg_hdr none = { 0 };
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);
	int fd = image_mood == IMAGE_FILE ? dup(0) : -1;

	if (image_mood == IMAGE_NONSENSE)
		assert_int_equal(wire_put_str(b, "raw, believe me"), 0);
	else
		assert_int_equal(image_info_put(b, &image_says), 0);
	assert_int_equal(peer_send(p, type, none, b, &fd, fd != -1), 0);
}

static int
image_request(struct peer *p, struct msg *m)
{
	uint32_t format, writable;

	assert_int_equal(wire_get_u32(&m->body, &format), 0);
	assert_int_equal(wire_get_u32(&m->body, &writable), 0);
	assert_int_equal(m->nfds, 1);
	if (image_mood == IMAGE_MUTE)
		return 0;
	if (image_mood == IMAGE_DIES)
		/* The process that stands for it has our ends too. */
		return shutdown(peer_fd(p), SHUT_RDWR);
	image_answer(p,
	    image_mood == IMAGE_WRONG_TYPE ? IMSG_OPEN_RESPONSE :
					     IMSG_IMAGE_RESPONSE);
	if (image_mood == IMAGE_TWICE)
		image_answer(p, IMSG_IMAGE_RESPONSE);
	return 0;
}

/* Other processes may have the other end, too, and so no end be seen. */
static struct peer *helper_peers[64];

static void
helper_closed(struct peer *p, const char *why)
{
	*(struct peer **)peer_arg(p) = NULL;
	peer_free(p);
}

static void
helpers_free(void)
{
	size_t i;

	for (i = 0; i < 64; i++) {
		peer_free(helper_peers[i]);
		helper_peers[i] = NULL;
	}
}

static void
helper(int channel, const char *name)
{
	static const struct msg_handler msgs[] = {
		{ IMSG_OPEN_REQUEST, ROLE_PARENT, opener_request },
		{ IMSG_IMAGE_REQUEST, ROLE_PARENT, image_request },
	};
	struct peer_conf pc = {
		.role = ROLE_PARENT,
		.name = name,
		.msgs = msgs,
		.nmsgs = 2,
		.closed = helper_closed,
	};
	size_t i = 0;

	while (i < 64 && helper_peers[i] != NULL)
		i++;
	assert_int_not_equal(i, 64);
	pc.arg = &helper_peers[i];
	assert_non_null(helper_peers[i] = peer_new(parent.base, channel, &pc));
}

/* --- a priv that does nothing, or something else ------------------------ */

enum priv_mood priv_mood;
uint32_t priv_mood_for;
unsigned int priv_mood_skip;
uint32_t priv_forwarding;
const char *priv_kept;
uint32_t priv_created;
const char *priv_note;
struct order_seen seen[MAXORDERS];
unsigned int nseen;
static unsigned int taps;

static void
priv_answer(const struct order_seen *o, enum priv_mood mood)
{
	char name[NET_IFNAME_MAX] = "tap0", no_luck[] = "no luck";
	struct priv_result r = { .forwarding = priv_forwarding };
	struct msg_hdr hdr = o->hdr;
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);
	int fds[NET_MAX_PAIRS + 1];
	size_t n = 0, i;

	hdr.reqid += mood == PRIV_WRONG_ID;
	if (mood == PRIV_REFUSES || mood == PRIV_NO_TEXT ||
	    mood == PRIV_TAPS_REFUSED) {
		r.err = VMERR_FAILED;
		r.text = mood == PRIV_NO_TEXT ? NULL : no_luck;
		n = mood == PRIV_TAPS_REFUSED ? 1 : 0;
	} else if (o->type == IMSG_PRIV_NIC) {
		if (o->ifname[0] != '\0')
			snprintf(name, sizeof(name), "%s", o->ifname);
		else if (mood != PRIV_SAME_NAME)
			snprintf(name, sizeof(name), "tap%u", taps++);
		r.ifname = mood == PRIV_NO_NAME ? NULL : name;
		r.mtu = mood == PRIV_NO_MTU ? 0 :
		    o->nic.mtu != 0	    ? o->nic.mtu :
					      1500;
		r.mac[0] = 0xfe;
		if (!(o->flags & PRIVF_ADOPT))
			n = o->nic.pairs;
		n = mood == PRIV_FEW_TAPS ? 0 : n + (mood == PRIV_MANY_TAPS);
	} else if (o->type == IMSG_PRIV_SWITCH) {
		r.created = priv_created;
	} else if (o->type == IMSG_PRIV_CHECK && priv_note != NULL) {
		r.notes[r.nnotes++] = strdup(priv_note);
	}
	if (priv_kept != NULL)
		r.kept = strdup(priv_kept);
	for (i = 0; i < n; i++)
		fds[i] = memfd_create("tap", MFD_CLOEXEC);
	if (mood == PRIV_NONSENSE)
		assert_int_equal(wire_put_str(b, "done, believe me"), 0);
	else
		assert_int_equal(priv_result_put(b, &r), 0);
	free(r.notes[0]);
	free(r.kept);
	peer_send(priv.peer, IMSG_PRIV_RESULT, hdr, b, fds, n);
}

static void
copy(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from == NULL ? "" : from);
}

static void
see_nic(struct order_seen *o, struct msg *m)
{
	struct priv_nic n;

	assert_int_equal(priv_nic_get(&m->body, &n), 0);
	copy(o->ifname, sizeof(o->ifname), n.ifname);
	copy(o->bridge, sizeof(o->bridge), n.bridge);
	copy(o->alias, sizeof(o->alias), n.alias);
	copy(o->group, sizeof(o->group), n.group);
	copy(o->swgroup, sizeof(o->swgroup), n.swgroup);
	o->flags = n.flags;
	o->rdomain = n.rdomain;
	o->nic = n;
	o->nic.ifname = o->nic.alias = o->nic.bridge = NULL;
	o->nic.group = o->nic.swgroup = NULL;
	priv_nic_fini(&n);
}

static void
see_body(struct order_seen *o, struct msg *m)
{
	struct priv_switch s;
	struct priv_init i;
	struct priv_name n;

	if (m->type == IMSG_PRIV_INIT) {
		assert_int_equal(priv_init_get(&m->body, &i), 0);
		copy(o->tag, sizeof(o->tag), i.tag);
		o->init = i;
		copy(o->kept, sizeof(o->kept), i.kept);
		o->init.tag = o->init.kept = NULL;
		priv_init_fini(&i);
	} else if (m->type == IMSG_PRIV_SWITCH) {
		assert_int_equal(priv_switch_get(&m->body, &s), 0);
		copy(o->ifname, sizeof(o->ifname), s.ifname);
		copy(o->alias, sizeof(o->alias), s.alias);
		o->flags = s.flags;
		o->rdomain = s.rdomain;
		priv_switch_fini(&s);
	} else if (m->type == IMSG_PRIV_NIC) {
		see_nic(o, m);
	} else if (m->type == IMSG_PRIV_NIC_DEL ||
	    m->type == IMSG_PRIV_SWITCH_DEL) {
		assert_int_equal(priv_name_get(&m->body, &n), 0);
		copy(o->ifname, sizeof(o->ifname), n.ifname);
		priv_name_fini(&n);
	}
	assert_int_equal(wire_end(&m->body), 0);
}

void
priv_answers_late(void)
{
	priv_answer(&seen[nseen - 1], PRIV_ANSWERS);
}

static int
priv_ordered(struct peer *p, struct msg *m)
{
	struct order_seen *o = &seen[nseen++];
	enum priv_mood mood = PRIV_ANSWERS;

	assert_true(nseen < MAXORDERS);
	memset(o, 0, sizeof(*o));
	o->type = m->type;
	o->hdr = m->hdr;
	see_body(o, m);
	if (priv_mood != PRIV_ANSWERS && m->type == priv_mood_for &&
	    !(o->flags & PRIVF_ADOPT)) {
		if (priv_mood_skip == 0)
			mood = priv_mood;
		else
			priv_mood_skip--;
	}
	if (mood == PRIV_DIES)
		kill(priv.pid, SIGKILL);
	else if (mood != PRIV_MUTE)
		priv_answer(o, mood);
	if (mood == PRIV_TWICE)
		priv_answer(o, PRIV_ANSWERS);
	return 0;
}

void
until_ordered(void)
{
	unsigned int tick = 0;

	while (!TAILQ_EMPTY(&parent.net->orders) && tick++ < 1000)
		event_base_loop(parent.base, EVLOOP_ONCE);
	assert_true(TAILQ_EMPTY(&parent.net->orders));
}

/* --- what the parent links to ------------------------------------------ */

pid_t
spawn(const struct spawn *s, int *pidfd)
{
	struct fake *f = NULL;
	size_t i;
	pid_t pid;

	if ((pid = fork()) == 0)
		for (;;)
			pause();
	*pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	for (i = 0; i < 3; i++)
		if (strcmp(fakes[i]->name, s->argv[2]) == 0)
			f = fakes[i];
	if (f == NULL) {
		helpers++;
		helper(fcntl(s->channel, F_DUPFD_CLOEXEC, 3), s->argv[2]);
		return pid;
	}
	f->pid = pid;
	f->channel = fcntl(s->channel, F_DUPFD_CLOEXEC, 3);
	f->starts++;
	return pid;
}

int
spawn_reap(int pidfd, int *status)
{
	siginfo_t si = { 0 };

	if (waitid((idtype_t)3 /* P_PIDFD */, (id_t)pidfd, &si,
		WEXITED | WNOHANG) == -1)
		return -1;
	*status = si.si_status;
	if (si.si_pid == 0)
		return 0;
	if (si.si_pid != control.pid && si.si_pid != vmm.pid &&
	    si.si_pid != priv.pid)
		helpers_reaped++;
	return 1;
}

unsigned int
sandbox_own(void)
{
	return SB_OWN_REPORT;
}

int
sandbox_traps(int fd, const char *prefix)
{
	return 0;
}

int
sandbox_seccomp(const char *name, int channel)
{
	return 1;
}

int
sandbox_vmm_flags(unsigned int *lacking)
{
	return 0;
}

int
sandbox_ids_open(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

int
sandbox_nnp(void)
{
	return 0;
}

int
sandbox_slot_outside(uid_t *id)
{
	errno = ENOSYS;
	return -1;
}

int
sandbox_vmm_map(pid_t pid, void *arg)
{
	return 0;
}

int
sandbox_vmm_child(void *arg)
{
	return 0;
}

struct conf *
conf_load(const char *path, const struct conf_opts *o)
{
	return NULL;
}

int
conf_check(const struct conf *c, const struct conf_opts *o)
{
	return 0;
}

void
conf_free(struct conf *c)
{
	struct conf_switch *sw;
	struct conf_vm *cv;

	if (c == NULL)
		return;
	while ((sw = TAILQ_FIRST(&c->switches)) != NULL) {
		TAILQ_REMOVE(&c->switches, sw, entry);
		free(sw->name);
		free(sw->ifname);
		free(sw->group);
		free(sw->file);
		free(sw);
	}
	free(c->domain);
	while ((cv = TAILQ_FIRST(&c->vms)) != NULL) {
		TAILQ_REMOVE(&c->vms, cv, entry);
		vm_spec_free(cv->spec);
		free(cv);
	}
	free(c);
}

/* --- the fakes --------------------------------------------------------- */

static int
record(struct peer *p, struct msg *m)
{
	struct fake *f = peer_arg(p);
	struct vmop_id op;

	if (f == &priv && m->type >= IMSG_PRIV_INIT &&
	    m->type <= IMSG_PRIV_CHECK)
		return priv_ordered(p, m);
	f->got++;
	f->type = m->type;
	f->hdr = m->hdr;
	f->nfds = m->nfds;
	vmop_result_fini(&f->res);
	memset(&f->res, 0, sizeof(f->res));
	vm_spec_free(f->spec);
	f->spec = NULL;
	fdlist_close(&f->fds);
	if (f == &vmm && m->type == IMSG_VMDOP_TERMINATE_VM_REQUEST) {
		assert_int_equal(vmop_id_get(&m->body, &op), 0);
		f->arg = op.arg;
		vmop_id_fini(&op);
	} else if (m->type == IMSG_VMDOP_START_VM_REQUEST) {
		assert_non_null(f->spec = vm_spec_get(&m->body));
		assert_int_equal(wire_get_fdlist(&m->body, &f->fds, m->fds,
				     m->nfds),
		    0);
	} else if (m->type == IMSG_VMDOP_GET_INFO_VM_DATA) {
		vm_info_fini(&f->info);
		assert_int_equal(vm_info_get(&m->body, &f->info), 0);
	} else if (f == &control && m->type != IMSG_CTL_SOCKET &&
	    m->type != IMSG_CTL_SHUTDOWN)
		assert_int_equal(vmop_result_get(&m->body, &f->res), 0);
	ibuf_skip(&m->body, ibuf_size(&m->body));
	return 0;
}

static void
fake_closed(struct peer *p, const char *why)
{
	struct fake *f = peer_arg(p);

	f->closed = 1;
}

/* Sit down at the other end of the channel of `f'. */
static void
attach(struct fake *f)
{
	static struct msg_handler msgs[IMSG_TYPE_MAX - 1];
	struct peer_conf pc = {
		.role = ROLE_PARENT,
		.name = f->name,
		.msgs = msgs,
		.nmsgs = IMSG_TYPE_MAX - 1,
		.closed = fake_closed,
		.arg = f,
	};
	uint32_t t;

	for (t = 1; t < IMSG_TYPE_MAX; t++)
		msgs[t - 1] = (struct msg_handler){ t, ROLE_PARENT, record };
	peer_free(f->peer);
	f->closed = 0;
	f->got = 0;
	f->peer = peer_new(parent.base, f->channel, &pc);
	f->channel = -1;
	assert_non_null(f->peer);
}

static void
too_late(int fd, short ev, void *arg)
{
	*(int *)arg = 1;
}

/* Run the loop until `*n' is `want' or more. */
void
until(const unsigned int *n, unsigned int want)
{
	const struct timeval tv = { .tv_sec = PATIENCE };
	struct event *ev;
	int late = 0;

	assert_non_null(ev = evtimer_new(parent.base, too_late, &late));
	event_add(ev, &tv);
	while (*n < want && !late)
		event_base_loop(parent.base, EVLOOP_ONCE);
	event_free(ev);
	assert_false(late);
}

void
until_got(struct fake *f, uint32_t type)
{
	unsigned int n;

	do {
		n = f->got;
		if (f->type != type || n == 0)
			until(&f->got, n + 1);
	} while (f->type != type);
}

void
until_restarted(struct fake *f, unsigned int starts)
{
	until(&f->starts, starts);
	attach(f);
}

void
until_state(const struct vm *v, enum vm_state s)
{
	const unsigned int *n = (const unsigned int *)&v->state;
	unsigned int tick = 0;

	while (*n != (unsigned int)s && tick++ < 1000)
		event_base_loop(parent.base, EVLOOP_ONCE);
	assert_int_equal(v->state, s);
}

void
clear(struct fake *f)
{
	f->got = 0;
	f->type = IMSG_NONE;
}

void
send_body(struct fake *f, uint32_t type, uint64_t reqid, struct ibuf *b,
    int *fds, size_t nfds)
{
	const struct msg_hdr h = { reqid, f == &control ? CONN : 0 };

	assert_int_equal(peer_send(f->peer, type, h, b, fds, nfds), 0);
}

void
send_id(uint32_t type, uint64_t reqid, const char *name, uint32_t flags,
    uint32_t arg)
{
	char copy[64];
	const struct vmop_id op = { .name = copy, .flags = flags, .arg = arg };
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);

	snprintf(copy, sizeof(copy), "%s", name);
	assert_int_equal(vmop_id_put(b, &op), 0);
	send_body(&control, type, reqid, b, NULL, 0);
}

void
send_result(uint32_t type, uint64_t reqid, const struct vmop_result *r)
{
	const struct msg_hdr h = { .reqid = reqid };

	assert_int_equal(peer_result(vmm.peer, type, h, r), 0);
}

void
send_start(uint64_t reqid, const char *name)
{
	struct vm_spec *s = vm_spec_new(name);
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);

	s->given = VMGIVEN_BOOT;
	s->boot = strdup("/kernel");
	assert_int_equal(vm_spec_put(b, s), 0);
	send_body(&control, IMSG_VMDOP_START_VM_REQUEST, reqid, b, NULL, 0);
	vm_spec_free(s);
}

static void
open_conn(void)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	send_body(&control, IMSG_CTL_CONN_OPEN, 0, NULL, &sv[0], 1);
	close(sv[1]);
}

void
say_started(void)
{
	struct vmop_result r = { .pid = 4711 };

	assert_int_equal(vmm.type, IMSG_VMDOP_START_VM_REQUEST);
	r.id = vmm.spec->id;
	r.generation = vmm.spec->generation;
	send_result(IMSG_VMDOP_START_VM_RESPONSE, vmm.hdr.reqid, &r);
}

void
start_vm(const char *name)
{
	clear(&vmm);
	clear(&control);
	send_start(100, name);
	until_got(&vmm, IMSG_VMDOP_START_VM_REQUEST);
	assert_int_equal(vmm.nfds, 3);
	say_started();
	until_got(&control, IMSG_VMDOP_START_VM_RESPONSE);
	assert_int_equal(control.res.err, VMERR_OK);
	assert_int_equal(control.hdr.reqid, 100);
	assert_int_equal(control.hdr.conn, CONN);
	assert_non_null(control.res.tty);
	assert_int_equal(vm_find(&parent, name)->state, VMS_RUNNING);
}

void
say_ended(const char *name, uint64_t generation, enum vmexit exit)
{
	const struct vmop_result r = {
		.id = vm_find(&parent, name)->spec->id,
		.generation = generation,
		.exit = exit,
	};

	send_result(IMSG_VMDOP_TERMINATE_VM_EVENT, 0, &r);
}

/* A question whose answer shows that all before it was handled. */
void
settle_all(void)
{
	clear(&control);
	send_id(IMSG_VMDOP_GET_INFO_VM_REQUEST, 999, "none", 0, 0);
	until_got(&control, IMSG_VMDOP_GET_INFO_VM_END_DATA);
	/* vmm's channel may have been read after control's. */
	clear(&control);
	send_id(IMSG_VMDOP_GET_INFO_VM_REQUEST, 999, "none", 0, 0);
	until_got(&control, IMSG_VMDOP_GET_INFO_VM_END_DATA);
}

/* --- set-up ------------------------------------------------------------ */

struct conf *
conf_of(const char *name, ...)
{
	struct conf *c = calloc(1, sizeof(*c));
	struct conf_vm *cv;
	va_list ap;

	TAILQ_INIT(&c->vms);
	TAILQ_INIT(&c->switches);
	TAILQ_INIT(&c->limits);
	c->resets = CONF_RESETS;
	c->resets_seconds = CONF_RESETS_SECONDS;
	c->kill_timeout = CONF_KILL_TIMEOUT;
	va_start(ap, name);
	for (; name != NULL; name = va_arg(ap, const char *)) {
		cv = calloc(1, sizeof(*cv));
		cv->spec = vm_spec_new(name);
		cv->spec->boot = strdup("/kernel");
		cv->spec->flags = VMF_DISABLED | VMF_OVERCOMMIT;
		TAILQ_INSERT_TAIL(&c->vms, cv, entry);
	}
	va_end(ap);
	return c;
}

int
setup(void **state)
{
	size_t i;

	if (getuid() != 0 || mkdtemp(dir) == NULL)
		return -1;
	signal(SIGPIPE, SIG_IGN);
	priv_mood = PRIV_ANSWERS;
	priv_mood_for = IMSG_PRIV_NIC;
	priv_mood_skip = nseen = taps = priv_forwarding = 0;
	priv_created = PRIVSW_OURS;
	priv_note = priv_kept = NULL;
	snprintf(sock, sizeof(sock), "%s/sock", dir);
	snprintf(state_dir, sizeof(state_dir), "%s/state", dir);
	args.socket = sock;
	args.statedir = state_dir;
	args.guest_exe = open("/dev/null", O_RDONLY | O_CLOEXEC);
	for (i = 0; i < 3; i++)
		fakes[i]->starts = 0;
	if (parent_setup(&parent, &args) == -1)
		return -1;
	parent.kvm = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (children_start(&parent) == -1 ||
	    conf_apply(&parent, conf_of("web1", NULL)) == -1)
		return -1;
	for (i = 0; i < 3; i++)
		attach(fakes[i]);
	until_got(&control, IMSG_CTL_SOCKET);
	until_got(&vmm, IMSG_VMDOP_RECEIVE_VMM_FD);
	open_conn();
	until_ordered();
	return 0;
}

int
teardown(void **state)
{
	char cmd[128];
	size_t i;

	until(&helpers_reaped, helpers);
	helpers = helpers_reaped = 0;
	helpers_free();
	for (i = 0; i < 3; i++) {
		peer_free(fakes[i]->peer);
		fakes[i]->peer = NULL;
		fd_close(&fakes[i]->channel);
		vmop_result_fini(&fakes[i]->res);
		memset(&fakes[i]->res, 0, sizeof(fakes[i]->res));
		vm_info_fini(&fakes[i]->info);
		vm_spec_free(fakes[i]->spec);
		fakes[i]->spec = NULL;
		fdlist_close(&fakes[i]->fds);
	}
	parent_fini(&parent);
	close(args.guest_exe);
	while (waitpid(-1, NULL, 0) > 0)
		;
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	if (system(cmd) != 0)
		return -1;
	strcpy(strrchr(dir, '.'), ".XXXXXX");
	return 0;
}
