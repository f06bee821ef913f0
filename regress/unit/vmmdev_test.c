/*
 * Devices of a guest in the real vmm: what they are given, what happens when
 * one dies, when its guest does, when it is asked to be replaced.  This
 * program is the parent, as `vm' a guest's process, as `vioblk' a device
 * that behaves as the serial number of its disk says.
 */

#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "lib/sandbox/sandbox.h"
#include "regress/unit/vmmrole_test.h"

#define PAUSED	IMSG_VMDOP_VM_PAUSED
#define STOPPED IMSG_VMDOP_TERMINATE_VM_RESPONSE
#define NLINES	200

static void
send_line(struct imsgbuf *ib, char *text)
{
	struct log_line l = { .prio = 4, .text = text };
	struct ibuf *b = imsg_create(ib, IMSG_CTL_LOG, 0, 0, 0);

	if (b == NULL || ibuf_add_zero(b, MSG_HDR_LEN) == -1 ||
	    log_line_put(b, &l) == -1)
		_exit(9);
	imsg_close(ib, b);
	if (imsgbuf_flush(ib) == -1)
		_exit(9);
}

/* As a process does that has locked itself up. */
static void
send_report(struct imsgbuf *ib)
{
	char text[] = "ready";
	struct log_line l = { .prio = 7, .text = text };
	struct ibuf *b = imsg_create(ib, IMSG_CTL_READY, 0, 0, 0);

	if (b == NULL || ibuf_add_zero(b, MSG_HDR_LEN) == -1 ||
	    log_line_put(b, &l) == -1 || wire_put_u32(b, SB_OWN_REPORT) == -1)
		_exit(9);
	imsg_close(ib, b);
	if (imsgbuf_flush(ib) == -1)
		_exit(9);
}

/* --- the system ------------------------------------------------------------ */

static int reaps = -1;	 /* so many more, then processes take their time */
static int sockets = -1; /* so many more socketpairs, then none */

/* Nobody waits here: not for a process in uninterruptible I/O either. */
pid_t
waitpid(pid_t pid, int *status, int flags)
{
	if (!(flags & WNOHANG) && reaps != -1)
		fail_msg("vmm blocks");
	return wait4(pid, status, flags, NULL);
}

int
waitid(idtype_t type, id_t id, siginfo_t *si, int flags)
{
	int rc;

	if (reaps == 0) {
		if (!(flags & WNOHANG))
			fail_msg("vmm blocks");
		return 0;
	}
	rc = (int)syscall(SYS_waitid, type, id, si, flags, NULL);
	if (rc == 0 && si->si_pid != 0 && reaps > 0)
		reaps--;
	return rc;
}

int
socketpair(int domain, int type, int protocol, int sv[2])
{
	if (sockets == 0) {
		errno = EMFILE;
		return -1;
	}
	if (sockets > 0)
		sockets--;
	return (int)syscall(SYS_socketpair, domain, type, protocol, sv);
}

/* --- the device ----------------------------------------------------------- */

/* Descriptors beside its two channels and the `n' that it was sent. */
static int
too_many(size_t n)
{
	int fd, cnt = 0;

	for (fd = PROC_CHANNEL_FD; fd < 256; fd++)
		cnt += fcntl(fd, F_GETFD) != -1;
	return cnt - 2 - (int)n;
}

static void
be_bad(struct imsgbuf *ib, const char *how)
{
	char text[] = "line", c;
	int i;

	/* Not before the guest is up, and says so. */
	if (strncmp(how, "up-", 3) == 0) {
		if (read(PROC_CHANNEL_FD + 1, &c, 1) != 1)
			_exit(0);
		how += 3;
	}
	if (strcmp(how, "fails") == 0)
		_exit(3);
	if (strcmp(how, "denied") == 0)
		_exit(SB_EXIT_DENIED);
	if (strcmp(how, "flood") == 0)
		for (i = 0; i < NLINES; i++)
			send_line(ib, text);
	if (strcmp(how, "closes") == 0)
		close(PROC_CHANNEL_FD);
	if (strncmp(how, "reports", 7) == 0)
		send_report(ib);
	if (strcmp(how, "reports twice") == 0)
		send_report(ib);
	if (strcmp(how, "unknown") == 0)
		guest_send(ib, 9999, 0, &(struct vmop_result){ 0 });
	if (strcmp(how, "above") == 0)
		guest_send(ib, IMSG_VMDOP_VM_EXIT, 0,
		    &(struct vmop_result){ .exit = VMEXIT_POWEROFF });
	if (strcmp(how, "deaf") != 0 && read(PROC_CHANNEL_FD + 1, &c, 1) == 0 &&
	    strcmp(how, "closes") != 0)
		_exit(0);
	for (;;)
		pause();
}

static void __attribute__((noreturn)) device_main(void)
{
	struct fdlist fds = FDLIST_INIT;
	struct dev_start s;
	struct imsgbuf ib;
	struct imsg m;
	char text[256];
	size_t n;
	int *list;

	imsgbuf_init(&ib, PROC_CHANNEL_FD);
	imsgbuf_allow_fdpass(&ib);
	imsgbuf_set_maxsize(&ib, MSG_MAXSIZE);
	while (imsgbuf_get(&ib, &m) != 1)
		if (imsgbuf_read(&ib) != 1)
			_exit(7);
	n = imsg_get_fds(&m, &list);
	if (m.hdr.type != IMSG_DEVOP_START ||
	    ibuf_skip(m.buf, MSG_HDR_LEN) == -1 ||
	    dev_start_get(m.buf, &s) == -1 ||
	    wire_get_fdlist(m.buf, &fds, list, n) == -1 ||
	    wire_end(m.buf) == -1)
		_exit(8);
	snprintf(text, sizeof(text),
	    "I am %s%u of %s, path %s, flags %u, layers %u of %zu, %d more, "
	    "uid %s",
	    dev_kind_name((enum dev_kind)s.kind), s.idx, s.name, s.path,
	    s.flags, s.layers, n, too_many(n), getuid() == 0 ? "0" : "own");
	send_line(&ib, text);
	be_bad(&ib, s.serial == NULL ? "" : s.serial);
	_exit(6);
}

/* --- the guest ------------------------------------------------------------ */

static uint32_t ndisks, nchannels;
static uint64_t start_reqid;
static int channels[VM_MAX_DISKS];
static uint32_t runs[VM_MAX_DISKS];

static void
poke(uint32_t idx)
{
	if (write(channels[idx], "x", 1) != 1)
		_exit(9);
}

static void
maybe_up(struct imsgbuf *ib, const char *name)
{
	struct vmop_result ok = { 0 };
	uint32_t i;

	if (++nchannels != ndisks + 1 || strcmp(name, "waits") == 0)
		return;
	guest_send(ib, START, start_reqid, &ok);
	for (i = 0; i < ndisks && strcmp(name, "pokes") == 0; i++)
		poke(i);
}

void
guest_started(struct imsgbuf *ib, struct imsg *m, uint64_t reqid, char *name)
{
	struct vm_spec *s = vm_spec_get(m->buf);
	struct fdlist fds = FDLIST_INIT;
	size_t n;
	int *list;

	n = imsg_get_fds(m, &list);
	if (s == NULL || wire_get_fdlist(m->buf, &fds, list, n) == -1 ||
	    fdlist_get(&fds, FD_DISK, 0, 0) != -1)
		_exit(9);
	strcpy(name, s->name);
	ndisks = s->ndisks;
	start_reqid = reqid;
	vm_spec_free(s);
	maybe_up(ib, name);
}

static void
got_device(struct imsgbuf *ib, struct imsg *m, const char *name)
{
	struct dev_id id;
	char text[64];
	int fd = imsg_get_fd(m);

	if (fd == -1 || dev_id_get(m->buf, &id) == -1)
		_exit(9);
	if (channels[id.idx] > 0)
		close(channels[id.idx]);
	channels[id.idx] = fd;
	runs[id.idx] = id.run;
	snprintf(text, sizeof(text), "got %u, replaced %u", id.idx, id.flags);
	send_line(ib, text);
	if (id.flags == 0)
		maybe_up(ib, name);
	else if (strcmp(name, "pokes") == 0)
		poke(id.idx);
}

static void
give_up(struct imsgbuf *ib, uint32_t idx, uint32_t run)
{
	char text[] = "does not answer";
	const struct dev_id id = { .idx = idx, .run = run, .text = text };
	struct ibuf *b = imsg_create(ib, IMSG_VMDOP_DEVICE_FAILED, 0, 0, 0);

	if (b == NULL || ibuf_add_zero(b, MSG_HDR_LEN) == -1 ||
	    dev_id_put(b, &id) == -1)
		_exit(9);
	imsg_close(ib, b);
	if (imsgbuf_flush(ib) == -1)
		_exit(9);
}

static void
say_ending(struct imsgbuf *ib)
{
	struct ibuf *b = imsg_create(ib, IMSG_VMDOP_VM_ENDING, 0, 0, 0);

	if (b == NULL || ibuf_add_zero(b, MSG_HDR_LEN) == -1)
		_exit(9);
	imsg_close(ib, b);
	if (imsgbuf_flush(ib) == -1)
		_exit(9);
}

/* Of the disks `from' to `to'; what only vmm can know is a lie. */
static void
say_list(struct imsgbuf *ib, uint64_t reqid, uint32_t from, uint32_t to)
{
	struct ibuf *b = imsg_create(ib, IMSG_VMDOP_DEVICES_RESPONSE, 0, 0, 0);
	struct dev_list l = { 0 };
	struct dev_stats *d;

	for (; from <= to; from++) {
		d = dev_list_add(&l, DEV_VIOBLK, from);
		d->state = DEVST_GONE;
		d->replaced = 99;
		d->size = 512;
		d->counted = 1;
		d->counts[DEVS_READS] = 70 + from;
	}
	if (b == NULL || wire_put_u64(b, reqid) == -1 ||
	    wire_put_u64(b, 0) == -1 || dev_list_put(b, &l) == -1)
		_exit(9);
	imsg_close(ib, b);
	if (imsgbuf_flush(ib) == -1)
		_exit(9);
}

/* What it says of its devices depends on its name. */
static void
list_devices(struct imsgbuf *ib, uint64_t reqid, const char *name)
{
	if (strcmp(name, "half") == 0) {
		say_list(ib, reqid, 1, 1);
	} else if (strcmp(name, "more") == 0) {
		say_list(ib, reqid, 0, 9);
	} else if (strcmp(name, "twice") == 0) {
		say_list(ib, reqid, 0, 1);
		say_list(ib, reqid, 0, 1);
	} else if (strcmp(name, "nonsense") == 0) {
		guest_send(ib, IMSG_VMDOP_DEVICES_RESPONSE, reqid,
		    &(struct vmop_result){ .err = 1 });
	} else if (strcmp(name, "late") != 0) {
		say_list(ib, reqid, 0, 1);
	}
}

void
guest_order_got(struct imsgbuf *ib, struct imsg *m, uint64_t reqid,
    const char *name)
{
	struct vmop_result ok = { 0 };

	switch (m->hdr.type) {
	case IMSG_VMDOP_DEVICE:
		got_device(ib, m, name);
		break;
	case IMSG_VMDOP_PAUSE_VM:
		if (strcmp(name, "stubborn") == 0)
			ok.err = VMERR_GUEST;
		guest_send(ib, IMSG_VMDOP_PAUSE_VM_RESPONSE, reqid, &ok);
		break;
	case IMSG_VMDOP_DEVICES_REQUEST:
		list_devices(ib, reqid, name);
		break;
	case IMSG_VMDOP_UNPAUSE_VM:
		guest_send(ib, IMSG_VMDOP_UNPAUSE_VM_RESPONSE, reqid, &ok);
		break;
	case IMSG_CTL_BREAK:
		if (strcmp(name, "leaves") == 0)
			say_ending(ib);
		if (strcmp(name, "hangsup") == 0 || strcmp(name, "leaves") == 0)
			close(channels[0]);
		else if (strcmp(name, "lies") == 0)
			give_up(ib, 7, 1);
		else if (strcmp(name, "foretells") == 0)
			give_up(ib, 0, runs[0] + 1);
		else
			give_up(ib, 0, strcmp(name, "old") == 0 ? 1 : runs[0]);
		guest_send(ib, IMSG_CTL_BREAK_RESPONSE, reqid, &ok);
		break;
	case IMSG_VMDOP_VM_STOP:
		guest_end(ib, VMEXIT_STOPPED);
	}
}

/* --- the parent ----------------------------------------------------------- */

static char lines[65536];

static void
keep_line(void *arg, int prio, const char *line)
{
	size_t n = strlen(lines);

	snprintf(lines + n, sizeof(lines) - n, "%s\n", line);
}

static unsigned int
count(const char *text)
{
	const char *p = lines;
	unsigned int n = 0;

	while ((p = strstr(p, text)) != NULL) {
		n++;
		p++;
	}
	return n;
}

static int late;

static void
too_late(int fd, short ev, void *arg)
{
	late = 1;
}

/* Until the log has `text' that often. */
static void
logged(const char *text, unsigned int n)
{
	const struct timeval tv = { DEADLINE, 0 };
	struct event *guard = event_new(base, -1, 0, too_late, NULL);

	late = 0;
	assert_non_null(guard);
	assert_int_equal(event_add(guard, &tv), 0);
	while (count(text) < n && !late)
		event_base_loop(base, EVLOOP_ONCE);
	event_free(guard);
	if (late)
		fail_msg("no \"%s\" in \"%s\"", text, lines);
}

/* A VM with disks that have these serial numbers, of two layers each. */
static void
start_with(const char *name, uint64_t reqid, const char *a, const char *b)
{
	struct ibuf *body = ibuf_dynamic(0, MSG_MAXSIZE);
	const char *const serials[] = { a, b };
	struct vm_spec *s = vm_spec_new(name);
	struct fdlist fds = FDLIST_INIT;
	int list[VM_MAXFDS], fd;
	unsigned int i;

	s->id = 1;
	s->generation = 1;
	for (i = 0; i < 2 && serials[i] != NULL; i++) {
		s->disks[i].path = strdup(i == 0 ? "/a" : "/b");
		s->disks[i].serial = strdup(serials[i]);
		s->disks[i].flags = i == 0 ? 0 : DISKF_READONLY;
		s->disks[i].layers = 2;
		s->ndisks++;
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		assert_int_equal(fdlist_add(&fds, FD_DISK, i, 0, &fd), 0);
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		assert_int_equal(fdlist_add(&fds, FD_DISK, i, 1, &fd), 0);
	}
	assert_int_equal(vm_spec_put(body, s), 0);
	assert_int_equal(wire_put_fdlist(body, &fds), 0);
	vm_spec_free(s);
	for (i = 0; i < fds.n; i++)
		list[i] = fds.ents[i].fd;
	send_body(IMSG_VMDOP_START_VM_REQUEST, reqid, body, list, fds.n);
}

static void
up(const char *name, const char *a, const char *b)
{
	lines[0] = '\0';
	log_set_sink(keep_line, NULL);
	start_with(name, 11, a, b);
	expect(START, 11, VMERR_OK, VMEXIT_NONE, NULL);
}

/* The process of device `idx' of the only guest; 0: none. */
static pid_t
device_pid(uint32_t idx)
{
	struct device *d = device_find(TAILQ_FIRST(&role.guests), DEV_VIOBLK,
	    idx);

	assert_non_null(d);
	return d->pidfd == -1 ? 0 : d->pid;
}

static void
kill_device(uint32_t idx)
{
	pid_t pid = device_pid(idx);

	assert_true(pid > 1);
	assert_int_equal(kill(pid, SIGKILL), 0);
}

static void
stop(void)
{
	order(IMSG_VMDOP_TERMINATE_VM_REQUEST, 1, 1, 90, VMOP_FORCE, NULL);
	expect(STOPPED, 90, VMERR_OK, VMEXIT_NONE, NULL);
	expect(ENDED, 0, VMERR_OK, VMEXIT_STOPPED, "stopped");
}

static int
finish(void **state)
{
	log_set_sink(NULL, NULL);
	return teardown(state);
}

/* --- start and end -------------------------------------------------------- */

static void
given(void **state)
{
	up("ok", "one", "two");
	logged("vm/ok/vioblk0: I am vioblk0 of ok, path /a, flags 0, layers 2 "
	       "of 2, 0 more",
	    1);
	logged("vm/ok/vioblk1: I am vioblk1 of ok, path /b, flags 1, layers 2 "
	       "of 2, 0 more",
	    1);
	logged("vm/ok: got 0, replaced 0", 1);
	logged("vm/ok: got 1, replaced 0", 1);
	stop();
	assert_int_equal(count("started again"), 0);
}

static void
dies_before_up(void **state)
{
	start_with("waits", 11, "", "fails");
	expect(START, 11, VMERR_GUEST, VMEXIT_FAILED,
	    "vioblk1: exited with status 3");
	start_with("waits", 12, "denied", "");
	expect(START, 12, VMERR_GUEST, VMEXIT_FAILED,
	    "vioblk0: ended by its sandbox");
}

/* The vm process is killed: its devices go, and one end is told. */
static void
guest_dies(void **state)
{
	struct vmop_result r;
	uint32_t type;

	log_set_sink(keep_line, NULL);
	lines[0] = '\0';
	/* One that notices the end of its channel, one that does not. */
	start_with("ok", 11, "", "deaf");
	assert_int_equal(next(&type, &r), 11);
	assert_int_equal(type, START);
	logged("I am vioblk", 2);
	assert_int_equal(kill(r.pid, SIGKILL), 0);
	vmop_result_fini(&r);
	expect(ENDED, 0, VMERR_OK, VMEXIT_SIGNAL, "killed by signal 9");
	assert_true(TAILQ_EMPTY(&role.guests));
	assert_int_equal(count("started again"), 0);
	/* And nothing after it: this is the next answer. */
	order(IMSG_VMDOP_PAUSE_VM, 1, 1, 12, 0, NULL);
	expect(IMSG_VMDOP_PAUSE_VM_RESPONSE, 12, VMERR_NOTRUNNING, VMEXIT_NONE,
	    NULL);
}

/* --- death and replacement ------------------------------------------------ */

static void
replaced(void **state)
{
	pid_t other;

	up("ok", "", "");
	logged("I am vioblk", 2);
	other = device_pid(1);
	kill_device(0);
	logged("vm/ok/vioblk0: started again", 1);
	logged("vm/ok/vioblk0: killed by signal 9", 1);
	/* With all that the first one had. */
	logged("vm/ok/vioblk0: I am vioblk0 of ok, path /a, flags 0, layers 2 "
	       "of 2, 0 more",
	    2);
	logged("vm/ok: got 0, replaced 1", 1);
	assert_int_equal(device_pid(1), other);
	stop();
}

static void
die_three_times(const char *name)
{
	unsigned int i;

	up(name, "", "");
	for (i = 1; i <= 2; i++) {
		logged("I am vioblk0", i);
		kill_device(0);
		logged("vioblk0: started again", i);
	}
	logged("I am vioblk0", i);
	kill_device(0);
}

static void
too_often(void **state)
{
	die_three_times("ok");
	expect(PAUSED, 0, VMERR_OK, VMEXIT_NONE,
	    "vioblk0 died 3 times in a minute");
	assert_int_equal(device_pid(0), 0);
	assert_true(device_pid(1) > 1);
	/* A person tries again, and it may die again. */
	order(IMSG_VMDOP_UNPAUSE_VM, 1, 1, 12, 0, NULL);
	expect(IMSG_VMDOP_UNPAUSE_VM_RESPONSE, 12, VMERR_OK, VMEXIT_NONE, NULL);
	logged("I am vioblk0", 4);
	logged("got 0, replaced 1", 3);
	kill_device(0);
	logged("vioblk0: started again", 3);
	/* It is counted for each of them. */
	logged("I am vioblk1", 1);
	kill_device(1);
	logged("vioblk1: started again", 1);
	stop();
}

/* It cannot be paused: nobody is told that it is. */
static void
not_paused(void **state)
{
	die_three_times("stubborn");
	logged("vm/stubborn: cannot be paused: no reason given", 1);
	order(IMSG_VMDOP_PAUSE_VM, 1, 1, 12, 0, NULL);
	expect(IMSG_VMDOP_PAUSE_VM_RESPONSE, 12, VMERR_GUEST, VMEXIT_NONE,
	    NULL);
	stop();
}

/* One that ends well, and was not told to: as good as dead. */
static void
ends_unasked(void **state)
{
	up("hangsup", "", "");
	logged("I am vioblk0", 1);
	order(IMSG_CTL_BREAK, 1, 1, 12, 0, NULL);
	expect(IMSG_CTL_BREAK_RESPONSE, 12, VMERR_OK, VMEXIT_NONE, NULL);
	logged("vm/hangsup/vioblk0: exited with status 0", 1);
	logged("vm/hangsup/vioblk0: started again", 1);
	logged("I am vioblk0", 2);
	stop();
}

/* It was told to: not a word, and no other one. */
static void
ends_well(void **state)
{
	up("leaves", "", "");
	logged("I am vioblk0", 1);
	order(IMSG_CTL_BREAK, 1, 1, 12, 0, NULL);
	expect(IMSG_CTL_BREAK_RESPONSE, 12, VMERR_OK, VMEXIT_NONE, NULL);
	while (device_pid(0) != 0)
		event_base_loop(base, EVLOOP_ONCE);
	order(IMSG_VMDOP_PAUSE_VM, 1, 1, 13, 0, NULL);
	expect(IMSG_VMDOP_PAUSE_VM_RESPONSE, 13, VMERR_OK, VMEXIT_NONE, NULL);
	assert_int_equal(device_pid(0), 0);
	assert_int_equal(count("started again"), 0);
	assert_int_equal(count("exited"), 0);
	stop();
}

/* Given up by the vm process: killed, replaced. */
static void
given_up(void **state)
{
	up("ok", "deaf", "");
	logged("I am vioblk0", 1);
	order(IMSG_CTL_BREAK, 1, 1, 12, 0, NULL);
	expect(IMSG_CTL_BREAK_RESPONSE, 12, VMERR_OK, VMEXIT_NONE, NULL);
	logged("vioblk0: the vm process gave it up, killed", 1);
	logged("vioblk0: started again", 1);
	logged("got 0, replaced 1", 1);
	stop();
}

/* What it gives up is dead already, and its successor is not meant. */
static void
given_up_late(void **state)
{
	pid_t pid;

	up("old", "", "");
	logged("I am vioblk0", 1);
	kill_device(0);
	logged("I am vioblk0", 2);
	pid = device_pid(0);
	order(IMSG_CTL_BREAK, 1, 1, 12, 0, NULL);
	expect(IMSG_CTL_BREAK_RESPONSE, 12, VMERR_OK, VMEXIT_NONE, NULL);
	assert_int_equal(device_pid(0), pid);
	assert_int_equal(count("gave it up"), 0);
	stop();
}

/* A device, or a process of one, that it does not have. */
static void
lies(void **state)
{
	static const char *const names[] = { "lies", "foretells" };
	size_t i;

	for (i = 0; i < 2; i++) {
		up(names[i], "", NULL);
		order(IMSG_CTL_BREAK, 1, 1, 12, 0, NULL);
		expect(IMSG_CTL_BREAK_RESPONSE, 12, VMERR_GONE, VMEXIT_NONE,
		    NULL);
		expect(ENDED, 0, VMERR_OK, VMEXIT_FAILED,
		    "killed by vmm: malformed message");
	}
}

/* --- a launch that fails half-way ------------------------------------------- */

/* Turns of the loop in which all that is not held back happens. */
static void
turn(void)
{
	int i;

	for (i = 0; i < 50; i++)
		event_base_loop(base, EVLOOP_ONCE);
}

/* Started, of no use, killed, and not gone: nothing waits for it but this. */
static void
replacement_fails(void **state)
{
	struct fdlist *fds;
	int fd;

	up("ok", "", "");
	logged("I am vioblk", 2);
	fds = &device_find(TAILQ_FIRST(&role.guests), DEV_VIOBLK, 0)->fds;
	fd = fds->ents[0].fd;
	fds->ents[0].fd = 4000; /* no descriptor: it cannot be handed on */
	reaps = 1;
	kill_device(0);
	expect(PAUSED, 0, VMERR_OK, VMEXIT_NONE,
	    "vioblk0 cannot be started again: Bad file descriptor");
	fds->ents[0].fd = fd;
	turn();
	assert_true(device_pid(0) > 1);
	/* Its old I/O may still be under way. */
	order(IMSG_VMDOP_UNPAUSE_VM, 1, 1, 12, 0, NULL);
	expect(IMSG_VMDOP_UNPAUSE_VM_RESPONSE, 12, VMERR_GUEST, VMEXIT_NONE,
	    "cannot be started again: Device or resource busy");
	reaps = -1;
	while (device_pid(0) != 0)
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(count("vioblk0: started again"), 0);
	order(IMSG_VMDOP_UNPAUSE_VM, 1, 1, 13, 0, NULL);
	expect(IMSG_VMDOP_UNPAUSE_VM_RESPONSE, 13, VMERR_OK, VMEXIT_NONE, NULL);
	logged("I am vioblk0", 2);
	stop();
}

/* The end of a guest waits for the last of its processes, vmm does not. */
static void
ends_late(void **state)
{
	struct fdlist *fds;
	int fd;

	up("ok", "", "");
	logged("I am vioblk", 2);
	fds = &device_find(TAILQ_FIRST(&role.guests), DEV_VIOBLK, 0)->fds;
	fd = fds->ents[0].fd;
	fds->ents[0].fd = 4000;
	reaps = 1;
	kill_device(0);
	expect(PAUSED, 0, VMERR_OK, VMEXIT_NONE, "cannot be started again");
	fds->ents[0].fd = fd;
	order(IMSG_VMDOP_TERMINATE_VM_REQUEST, 1, 1, 90, VMOP_FORCE, NULL);
	expect(STOPPED, 90, VMERR_OK, VMEXIT_NONE, NULL);
	reaps = 2; /* the vm process and the other disk */
	turn();
	assert_false(TAILQ_EMPTY(&role.guests));
	reaps = -1;
	expect(ENDED, 0, VMERR_OK, VMEXIT_STOPPED, "stopped");
}

/* The third of two devices' four channels cannot be made. */
static void
launch_fails(void **state)
{
	struct vmop_result r;
	uint32_t type;

	sockets = 3;
	reaps = 0;
	start_with("waits", 11, "deaf", "");
	while (TAILQ_EMPTY(&role.guests))
		event_base_loop(base, EVLOOP_ONCE);
	sockets = -1;
	turn();
	/* Neither is it forgotten nor can another run begin. */
	assert_false(TAILQ_EMPTY(&role.guests));
	start_with("waits", 12, "", "");
	expect(START, 12, VMERR_BUSY, VMEXIT_NONE, "has not ended");
	reaps = -1;
	assert_int_equal(next(&type, &r), 11);
	assert_int_equal(type, START);
	assert_int_equal(r.err, VMERR_GUEST);
	assert_string_equal(r.text, "devices: Too many open files");
	vmop_result_fini(&r);
	assert_true(TAILQ_EMPTY(&role.guests));
}

/* --- bad devices ---------------------------------------------------------- */

/* It costs the device its life, until it is not worth it any more. */
static void
bad_devices(void **state)
{
	static const struct {
		const char *serial;
		const char *why;
	} bad[] = {
		{ "up-unknown", "vioblk0: unknown message, killed" },
		{ "up-above", "vioblk0: message not allowed, killed" },
		{ "up-closes", "vioblk0: killed by signal 9" },
		{ "up-fails", "vioblk0: exited with status 3" },
	};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		up("pokes", bad[i].serial, "deaf");
		expect(PAUSED, 0, VMERR_OK, VMEXIT_NONE,
		    "vioblk0 died 3 times in a minute");
		assert_int_equal(count(bad[i].why), DEVICE_DEATHS);
		stop();
	}
}

/* The next message says that vioblk0 is ready, or has ended. */
static void
reported(int is_ready)
{
	const struct timeval tv = { DEADLINE, 0 };
	struct proc_info i;
	struct imsg m;

	do {
		while (imsgbuf_get(&down, &m) != 1) {
			event_base_loopexit(base, &tv);
			event_base_dispatch(base);
			assert_false(event_base_got_exit(base));
			assert_int_equal(imsgbuf_read(&down), 1);
		}
	} while (m.hdr.type == IMSG_CTL_LOG);
	assert_string_equal(msg_name(m.hdr.type),
	    msg_name(IMSG_CTL_PROC_REPORT));
	assert_int_equal(ibuf_skip(m.buf, MSG_HDR_LEN), 0);
	assert_int_equal(proc_info_get(m.buf, &i), 0);
	assert_int_equal(wire_end(m.buf), 0);
	assert_string_equal(i.name, "vm/pokes/vioblk0");
	assert_int_equal(i.own, is_ready ? SB_OWN_REPORT : 0);
	proc_info_fini(&i);
	imsg_free(&m);
}

/* Each process reports its sandbox, once, and its end is told. */
static void
reports(void **state)
{
	up("pokes", "up-reports", "deaf");
	reported(1);
	kill_device(0);
	reported(0);
	reported(1);
	assert_int_equal(count("vioblk0: started again"), 1);
	order(IMSG_VMDOP_TERMINATE_VM_REQUEST, 1, 1, 90, VMOP_FORCE, NULL);
	expect(STOPPED, 90, VMERR_OK, VMEXIT_NONE, NULL);
	reported(0);
	expect(ENDED, 0, VMERR_OK, VMEXIT_STOPPED, "stopped");
	up("pokes", "up-reports twice", "deaf");
	reported(1);
	logged("vioblk0: malformed message, killed", 1);
	role.kill_s = 1;
	order(IMSG_VMDOP_TERMINATE_VM_REQUEST, 1, 1, 91, VMOP_FORCE, NULL);
	while (!TAILQ_EMPTY(&role.guests))
		event_base_loop(base, EVLOOP_ONCE);
}

static void
flood(void **state)
{
	up("ok", "flood", "");
	logged("vm/ok/vioblk0: line", 1);
	logged("vm/ok/vioblk1: I am", 1);
	stop();
	/* It may have taken two or three seconds. */
	assert_true(count("vm/ok/vioblk0: line") <= 3 * PEER_LOG_RATE);
}

/* --- ids and a pid namespace for real ------------------------------------- */

static int
setup_ids(void **state)
{
	int fd;

	if (setup(state) == -1)
		return -1;
	role.shared_ids = 0;
	if (sandbox_ids_init() == -1 || (fd = sandbox_ids_open()) == -1)
		return -1;
	sandbox_ids_file(fd);
	return 0;
}

static int
finish_ids(void **state)
{
	sandbox_ids_file(-1);
	return finish(state);
}

static void
own_ids(void **state)
{
	up("ok", "", "");
	logged("uid own", 2);
	kill_device(0);
	logged("vioblk0: started again", 1);
	logged("uid own", 3);
	assert_int_equal(count("uid 0"), 0);
	stop();
}

/* --- in numbers ------------------------------------------------------------- */

#define ASK IMSG_VMDOP_DEVICES_REQUEST
#define SAY IMSG_VMDOP_DEVICES_RESPONSE

static void
is_device(uint32_t n, uint32_t replacements, uint32_t is_counted)
{
	const struct dev_stats *d = &last_list.devs[n];

	assert_int_equal(last_list.n, 2);
	assert_int_equal(d->kind, DEV_VIOBLK);
	assert_int_equal(d->idx, n);
	assert_int_equal(d->state, DEVST_RUNNING);
	assert_int_equal(d->replaced, replacements);
	assert_int_equal(d->counted, is_counted);
	assert_true(d->size == (is_counted ? 512 : 0));
	assert_true(d->counts[DEVS_READS] == (is_counted ? 70 + n : 0));
}

/* Numbers of the guest's process, states and replacements of ours. */
static void
listed(void **state)
{
	up("ok", "", "");
	order(ASK, 1, 1, 12, 0, NULL);
	expect(SAY, 12, VMERR_OK, VMEXIT_NONE, NULL);
	is_device(0, 0, 1);
	is_device(1, 0, 1);
	kill_device(1);
	logged("vioblk1: started again", 1);
	order(ASK, 1, 1, 13, 0, NULL);
	expect(SAY, 13, VMERR_OK, VMEXIT_NONE, NULL);
	is_device(0, 0, 1);
	is_device(1, 1, 1);
	order(ASK, 1, 2, 14, 0, NULL);
	expect(SAY, 14, VMERR_NOTRUNNING, VMEXIT_NONE, NULL);
	stop();
}

/* It leaves one out, or has more than it was given. */
static void
listed_wrong(void **state)
{
	up("half", "", "");
	order(ASK, 1, 1, 12, 0, NULL);
	expect(SAY, 12, VMERR_OK, VMEXIT_NONE, NULL);
	is_device(0, 0, 0);
	is_device(1, 0, 1);
	stop();
	up("more", "", "");
	order(ASK, 1, 1, 12, 0, NULL);
	expect(SAY, 12, VMERR_OK, VMEXIT_NONE, NULL);
	is_device(0, 0, 1);
	is_device(1, 0, 1);
	stop();
	up("nonsense", "", "");
	order(ASK, 1, 1, 12, 0, NULL);
	expect(SAY, 12, VMERR_GONE, VMEXIT_NONE, NULL);
	expect(ENDED, 0, VMERR_OK, VMEXIT_FAILED, "malformed message");
	up("twice", "", "");
	order(ASK, 1, 1, 12, 0, NULL);
	expect(SAY, 12, VMERR_OK, VMEXIT_NONE, NULL);
	expect(ENDED, 0, VMERR_OK, VMEXIT_FAILED, "malformed message");
}

/* One that does not answer is asked once, and no more after that. */
static void
listed_late(void **state)
{
	const struct order *o;

	role.order_s = 1;
	up("late", "", "");
	order(ASK, 1, 1, 12, 0, NULL);
	expect(SAY, 12, VMERR_TIMEOUT, VMEXIT_NONE, "late does not answer");
	order(ASK, 1, 1, 13, 0, NULL);
	expect(SAY, 13, VMERR_TIMEOUT, VMEXIT_NONE, "late does not answer");
	o = TAILQ_FIRST(&TAILQ_FIRST(&role.guests)->orders);
	assert_non_null(o);
	assert_null(TAILQ_NEXT(o, entry));
	stop();
}

#define D(f)   cmocka_unit_test_setup_teardown(f, setup, finish)
#define IDS(f) cmocka_unit_test_setup_teardown(f, setup_ids, finish_ids)

int
main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		D(given),
		D(dies_before_up),
		D(guest_dies),
		D(replaced),
		D(too_often),
		D(not_paused),
		D(ends_unasked),
		D(ends_well),
		D(given_up),
		D(given_up_late),
		D(lies),
		D(replacement_fails),
		D(ends_late),
		D(launch_fails),
		D(bad_devices),
		D(reports),
		D(flood),
		D(listed),
		D(listed_wrong),
		D(listed_late),
		IDS(own_ids),
		IDS(guest_dies),
		IDS(too_often),
	};
	const size_t nids = 3;

	if (strcmp(argv[0], "vm") == 0)
		guest_main();
	if (strcmp(argv[0], "vioblk") == 0)
		device_main();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	if (geteuid() != 0)
		return _cmocka_run_group_tests("tests", tests,
		    sizeof(tests) / sizeof(tests[0]) - nids, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
