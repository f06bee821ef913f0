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
	struct conf_vm *cv;

	if (c == NULL)
		return;
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

	f->got++;
	f->type = m->type;
	f->hdr = m->hdr;
	f->nfds = m->nfds;
	vmop_result_fini(&f->res);
	memset(&f->res, 0, sizeof(f->res));
	vm_spec_free(f->spec);
	f->spec = NULL;
	fdlist_close(&f->fds);
	if (m->type == IMSG_VMDOP_START_VM_REQUEST) {
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
