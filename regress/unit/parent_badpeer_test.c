/*
 * The real parent, with a control and a vmm played by the test: what wrong
 * senders, short bodies, extra descriptors and deaths of peers do.
 *
 * spawn() is ours: it makes a process that only waits to be killed and keeps
 * the child's end of the channel.
 */

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/proto/wire.h"
#include "lib/sandbox/sandbox.h"
#include "lib/util/log.h"
#include "proc/spawn.h"
#include "vmd/parent/parent.h"

#define CONN	7
#define PATIENCE 10 /* seconds */

/* A process of the parent's, as the test plays it. */
struct fake {
	const char	*name;
	int		 starts;
	pid_t		 pid;
	int		 channel;
	struct peer	*peer;
	int		 closed;
	/* The last message it got, but for those nobody looks at. */
	unsigned int	 got;		/* how many */
	uint32_t	 type;
	struct msg_hdr	 hdr;
	struct vmop_result res;
	struct vm_spec	*spec;
	size_t		 nfds;
};

static struct fake control = { .name = "control", .channel = -1 };
static struct fake vmm = { .name = "vmm", .channel = -1 };
static struct fake priv = { .name = "priv", .channel = -1 };
static struct fake *const fakes[] = { &control, &vmm, &priv };

static struct parent parent;
static struct parent_args args;
static char dir[] = "/tmp/badpeer_test.XXXXXX";
static char sock[64], state_dir[64];

/* --- what the parent links to ------------------------------------------ */

pid_t
spawn(const struct spawn *s, int *pidfd)
{
	struct fake *f = NULL;
	size_t i;

	for (i = 0; i < 3; i++)
		if (strcmp(fakes[i]->name, s->argv[2]) == 0)
			f = fakes[i];
	if (f == NULL) {
		errno = ENOEXEC;
		return -1;
	}
	if ((f->pid = fork()) == 0)
		for (;;)
			pause();
	*pidfd = (int)syscall(SYS_pidfd_open, f->pid, 0);
	f->channel = fcntl(s->channel, F_DUPFD_CLOEXEC, 3);
	f->starts++;
	return f->pid;
}

int
spawn_reap(int pidfd, int *status)
{
	siginfo_t si = { 0 };

	if (waitid((idtype_t)3 /* P_PIDFD */, (id_t)pidfd, &si,
	    WEXITED | WNOHANG) == -1)
		return -1;
	*status = si.si_status;
	return si.si_pid != 0;
}

int
sandbox_vmm_flags(unsigned int *lacking)
{
	return 0;
}

int
sandbox_vmm_map(pid_t pid, void *arg)
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
	if (m->type == IMSG_VMDOP_START_VM_REQUEST)
		f->spec = vm_spec_get(&m->body);
	else if (f == &control && m->type != IMSG_CTL_SOCKET)
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
		msgs[t - 1] = (struct msg_handler) { t, ROLE_PARENT, record };
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
static void
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

static void
until_got(struct fake *f, uint32_t type)
{
	unsigned int n;

	do {
		n = f->got;
		if (f->type != type || n == 0)
			until(&f->got, n + 1);
	} while (f->type != type);
}

/* The parent killed and replaced it; play the new one. */
static void
until_restarted(struct fake *f, int starts)
{
	until((const unsigned int *)&f->starts, (unsigned int)starts);
	attach(f);
}

static void
clear(struct fake *f)
{
	f->got = 0;
	f->type = IMSG_NONE;
}

static void
send_body(struct fake *f, uint32_t type, uint64_t reqid, struct ibuf *b,
    int *fds, size_t nfds)
{
	const struct msg_hdr h = { reqid, f == &control ? CONN : 0 };

	assert_int_equal(peer_send(f->peer, type, h, b, fds, nfds), 0);
}

static void
send_id(uint32_t type, uint64_t reqid, const char *name, uint32_t flags)
{
	char copy[64];
	const struct vmop_id op = { .name = copy, .flags = flags };
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);

	snprintf(copy, sizeof(copy), "%s", name);
	assert_int_equal(vmop_id_put(b, &op), 0);
	send_body(&control, type, reqid, b, NULL, 0);
}

static void
send_result(uint32_t type, uint64_t reqid, const struct vmop_result *r)
{
	const struct msg_hdr h = { .reqid = reqid };

	assert_int_equal(peer_result(vmm.peer, type, h, r), 0);
}

static void
send_start(uint64_t reqid, const char *name)
{
	struct fdlist fds = FDLIST_INIT;
	struct vm_spec *s = vm_spec_new(name);
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);
	int fd = memfd_create("kernel", MFD_CLOEXEC);

	s->given = VMGIVEN_BOOT;
	s->boot = strdup("/kernel");
	assert_int_equal(fdlist_add(&fds, FD_BOOT, 0, 0, &fd), 0);
	assert_int_equal(vm_spec_put(b, s), 0);
	assert_int_equal(wire_put_fdlist(b, &fds), 0);
	fd = fds.ents[0].fd;
	send_body(&control, IMSG_VMDOP_START_VM_REQUEST, reqid, b, &fd, 1);
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

/* Start web1 as a client would, up to the answer. */
static void
start_web1(void)
{
	struct vmop_result r = { .pid = 4711 };

	clear(&vmm);
	clear(&control);
	send_start(100, "web1");
	until_got(&vmm, IMSG_VMDOP_START_VM_REQUEST);
	assert_int_equal(vmm.nfds, 3);
	r.id = vmm.spec->id;
	r.generation = vmm.spec->generation;
	send_result(IMSG_VMDOP_START_VM_RESPONSE, vmm.hdr.reqid, &r);
	until_got(&control, IMSG_VMDOP_START_VM_RESPONSE);
	assert_int_equal(control.res.err, VMERR_OK);
	assert_int_equal(control.hdr.reqid, 100);
	assert_int_equal(control.hdr.conn, CONN);
	assert_non_null(control.res.tty);
	assert_int_equal(vm_find(&parent, "web1")->state, VMS_RUNNING);
}

static void
end_web1(uint64_t generation, enum vmexit exit)
{
	const struct vmop_result r = {
		.id = vm_find(&parent, "web1")->spec->id,
		.generation = generation,
		.exit = exit,
	};

	send_result(IMSG_VMDOP_TERMINATE_VM_EVENT, 0, &r);
}

/* A message whose answer shows that all before it was handled. */
static void
sync_vmm(void)
{
	clear(&control);
	send_id(IMSG_VMDOP_GET_INFO_VM_REQUEST, 999, "none", 0);
	until_got(&control, IMSG_VMDOP_GET_INFO_VM_END_DATA);
}

/* --- set-up ------------------------------------------------------------ */

static struct conf *
one_vm(void)
{
	struct conf *c = calloc(1, sizeof(*c));
	struct conf_vm *cv = calloc(1, sizeof(*cv));

	TAILQ_INIT(&c->vms);
	TAILQ_INIT(&c->switches);
	TAILQ_INIT(&c->limits);
	cv->spec = vm_spec_new("web1");
	cv->spec->flags = VMF_DISABLED | VMF_OVERCOMMIT;
	TAILQ_INSERT_TAIL(&c->vms, cv, entry);
	return c;
}

static int
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
	    conf_apply(&parent, one_vm()) == -1)
		return -1;
	for (i = 0; i < 3; i++)
		attach(fakes[i]);
	until_got(&control, IMSG_CTL_SOCKET);
	until_got(&vmm, IMSG_VMDOP_RECEIVE_VMM_FD);
	open_conn();
	return 0;
}

static int
teardown(void **state)
{
	char cmd[128];
	size_t i;

	for (i = 0; i < 3; i++) {
		peer_free(fakes[i]->peer);
		fakes[i]->peer = NULL;
		fd_close(&fakes[i]->channel);
		vmop_result_fini(&fakes[i]->res);
		memset(&fakes[i]->res, 0, sizeof(fakes[i]->res));
		vm_spec_free(fakes[i]->spec);
		fakes[i]->spec = NULL;
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

/* --- tests ------------------------------------------------------------- */

static void
wrong_sender(void **state)
{
	const struct vmop_result r = { .id = 1 };

	/* Only vmm may say that a VM has ended. */
	assert_int_equal(peer_result(control.peer,
	    IMSG_VMDOP_TERMINATE_VM_EVENT, (struct msg_hdr) { 0 }, &r), 0);
	until_restarted(&control, 2);
	assert_int_equal(vmm.starts, 1);
	/* And nobody's requests but control's are taken. */
	assert_int_equal(peer_result(priv.peer, IMSG_VMDOP_LOAD,
	    (struct msg_hdr) { 0 }, &r), 0);
	until_restarted(&priv, 2);
	assert_int_equal(vmm.starts, 1);
	assert_int_equal(control.starts, 2);
}

static void
unknown_type(void **state)
{
	send_body(&vmm, IMSG_OPEN_RESPONSE, 0, NULL, NULL, 0);
	until_restarted(&vmm, 2);
	assert_int_equal(control.starts, 1);
}

static void
short_body(void **state)
{
	struct ibuf *b = ibuf_dynamic(0, 64);

	start_web1();
	clear(&control);
	send_id(IMSG_VMDOP_PAUSE_VM, 5, "web1", 0);
	until_got(&vmm, IMSG_VMDOP_PAUSE_VM);
	assert_int_equal(wire_put_u32(b, 1), 0);
	send_body(&vmm, IMSG_VMDOP_PAUSE_VM_RESPONSE, vmm.hdr.reqid, b, NULL,
	    0);
	until_got(&control, IMSG_VMDOP_PAUSE_VM_RESPONSE);
	assert_int_equal(control.hdr.reqid, 5);
	assert_int_equal(control.res.err, VMERR_GONE);
	until_restarted(&vmm, 2);
	assert_int_equal(control.starts, 1);
}

static void
extra_descriptor(void **state)
{
	int fd = open("/dev/null", O_RDONLY);

	send_body(&control, IMSG_CTL_CONN_CLOSE, 0, NULL, &fd, 1);
	until_restarted(&control, 2);
	assert_int_equal(vmm.starts, 1);
}

static void
missing_descriptor(void **state)
{
	const struct msg_hdr h = { .conn = CONN + 1 };

	assert_int_equal(peer_send(control.peer, IMSG_CTL_CONN_OPEN, h, NULL,
	    NULL, 0), 0);
	until_restarted(&control, 2);
}

/* What a client wrote is answered; control is not to blame. */
static void
bad_request(void **state)
{
	struct ibuf *b = ibuf_dynamic(0, 64);

	assert_int_equal(wire_put_u32(b, 12345), 0);
	send_body(&control, IMSG_VMDOP_START_VM_REQUEST, 1, b, NULL, 0);
	until_got(&control, IMSG_VMDOP_START_VM_RESPONSE);
	assert_int_equal(control.res.err, VMERR_BADMSG);
	b = ibuf_dynamic(0, 64);
	assert_int_equal(wire_put_u32(b, 12345), 0);
	send_body(&control, IMSG_VMDOP_WAIT_VM_REQUEST, 2, b, NULL, 0);
	until_got(&control, IMSG_VMDOP_TERMINATE_VM_RESPONSE);
	assert_int_equal(control.res.err, VMERR_BADMSG);
	assert_int_equal(control.starts, 1);
}

static void
unknown_connection(void **state)
{
	send_body(&control, IMSG_CTL_CONN_CLOSE, 0, NULL, NULL, 0);
	send_id(IMSG_VMDOP_WAIT_VM_REQUEST, 3, "web1", 0);
	until_got(&control, IMSG_VMDOP_TERMINATE_VM_RESPONSE);
	assert_int_equal(control.res.err, VMERR_PERM);
}

static void
vmm_dies(void **state)
{
	start_web1();
	clear(&control);
	send_id(IMSG_VMDOP_PAUSE_VM, 6, "web1", 0);
	until_got(&vmm, IMSG_VMDOP_PAUSE_VM);
	send_id(IMSG_VMDOP_WAIT_VM_REQUEST, 7, "web1", 0);
	sync_vmm();
	clear(&control);
	kill(vmm.pid, SIGKILL);
	/* Both are answered, each once. */
	until(&control.got, 2);
	assert_int_equal(control.type, IMSG_VMDOP_TERMINATE_VM_EVENT);
	assert_int_equal(control.hdr.reqid, 7);
	assert_int_equal(control.res.exit, VMEXIT_FAILED);
	assert_string_equal(control.res.text, "vmm died");
	assert_int_equal(vm_find(&parent, "web1")->state, VMS_STOPPED);
	assert_true(TAILQ_EMPTY(&parent.requests));
	until_restarted(&vmm, 2);
	until_got(&vmm, IMSG_VMDOP_RECEIVE_VMM_FD);
	/* And it goes on. */
	start_web1();
}

static void
control_dies(void **state)
{
	start_web1();
	send_id(IMSG_VMDOP_WAIT_VM_REQUEST, 7, "web1", 0);
	sync_vmm();
	kill(control.pid, SIGKILL);
	until_restarted(&control, 2);
	until_got(&control, IMSG_CTL_SOCKET);
	assert_int_equal(vm_find(&parent, "web1")->state, VMS_RUNNING);
	/* Old connections are gone with it, and nobody gets their answers. */
	end_web1(vm_find(&parent, "web1")->generation, VMEXIT_POWEROFF);
	send_id(IMSG_VMDOP_WAIT_VM_REQUEST, 8, "web1", 0);
	until_got(&control, IMSG_VMDOP_TERMINATE_VM_RESPONSE);
	assert_int_equal(control.hdr.reqid, 8);
	assert_int_equal(control.res.err, VMERR_PERM);
}

static void
old_generation(void **state)
{
	const struct vm *v;
	uint64_t g;

	start_web1();
	v = vm_find(&parent, "web1");
	g = v->generation;
	end_web1(g - 1, VMEXIT_POWEROFF);
	end_web1(g + 1, VMEXIT_POWEROFF);
	sync_vmm();
	sync_vmm();
	assert_int_equal(v->state, VMS_RUNNING);
	send_id(IMSG_VMDOP_WAIT_VM_REQUEST, 9, "web1", 0);
	sync_vmm();
	end_web1(g, VMEXIT_POWEROFF);
	until_got(&control, IMSG_VMDOP_TERMINATE_VM_EVENT);
	assert_int_equal(control.res.exit, VMEXIT_POWEROFF);
	assert_int_equal(v->state, VMS_STOPPED);
	/* A second end of the same run is late. */
	end_web1(g, VMEXIT_POWEROFF);
	sync_vmm();
	assert_int_equal(vmm.starts, 1);
}

/* Same terminal, new generation; the fourth in a row stays down. */
static void
resets(void **state)
{
	const struct vm *v;
	char *tty;
	uint64_t g;
	int i;

	start_web1();
	v = vm_find(&parent, "web1");
	tty = strdup(v->tty);
	for (i = 0; i < 3; i++) {
		struct vmop_result r = { .pid = 5000 + i };

		g = v->generation;
		clear(&vmm);
		end_web1(g, VMEXIT_RESET);
		until_got(&vmm, IMSG_VMDOP_START_VM_REQUEST);
		assert_true(vmm.spec->generation > g);
		assert_int_equal(vmm.nfds, 3);
		assert_string_equal(v->tty, tty);
		send_result(IMSG_VMDOP_START_VM_RESPONSE, vmm.hdr.reqid, &r);
		while (v->state != VMS_RUNNING)
			event_base_loop(parent.base, EVLOOP_ONCE);
	}
	send_id(IMSG_VMDOP_WAIT_VM_REQUEST, 10, "web1", 0);
	sync_vmm();
	end_web1(v->generation, VMEXIT_RESET);
	until_got(&control, IMSG_VMDOP_TERMINATE_VM_EVENT);
	assert_int_equal(v->state, VMS_STOPPED);
	assert_null(v->tty);
	free(tty);
}

static void
stop_is_no_reset(void **state)
{
	const struct vm *v;

	start_web1();
	v = vm_find(&parent, "web1");
	clear(&vmm);
	send_id(IMSG_VMDOP_TERMINATE_VM_REQUEST, 11, "web1", VMOP_WAIT);
	until_got(&vmm, IMSG_VMDOP_TERMINATE_VM_REQUEST);
	assert_int_equal(v->state, VMS_STOPPING);
	clear(&control);
	end_web1(v->generation, VMEXIT_RESET);
	until_got(&control, IMSG_VMDOP_TERMINATE_VM_EVENT);
	assert_int_equal(control.hdr.reqid, 11);
	assert_int_equal(v->state, VMS_STOPPED);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(wrong_sender),
		T(unknown_type),
		T(short_body),
		T(extra_descriptor),
		T(missing_descriptor),
		T(bad_request),
		T(unknown_connection),
		T(vmm_dies),
		T(control_dies),
		T(old_generation),
		T(resets),
		T(stop_is_no_reset),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	if (getuid() != 0) {
		printf("1..0 # SKIP needs root\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
