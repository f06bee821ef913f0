#ifndef VMMDEV_TEST_H
#define VMMDEV_TEST_H

/*
 * Devices of a guest in the real vmm.  This program is the parent, as `vm' a
 * guest's process, as `vioblk' a device that behaves as the serial number of
 * its disk says.
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

static inline void
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
static inline void
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
static inline int
too_many(size_t n)
{
	int fd, cnt = 0;

	for (fd = PROC_CHANNEL_FD; fd < 256; fd++)
		cnt += fcntl(fd, F_GETFD) != -1;
	return cnt - 2 - (int)n;
}

static inline void
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

static inline void __attribute__((noreturn)) device_main(void)
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

static inline void
poke(uint32_t idx)
{
	if (write(channels[idx], "x", 1) != 1)
		_exit(9);
}

static inline void
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

static inline void
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

static inline void
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

/* Gives a disk up, and talks on, faster than anybody reads, for ever. */
static inline void __attribute__((noreturn))
give_up_and_flood(uint32_t idx, uint32_t run)
{
	static char block[65536];
	char text[] = "x";
	const struct log_line l = { .prio = 4, .text = text };
	struct imsgbuf ib;
	struct ibuf *b;
	size_t n = 0, len = 0;

	imsgbuf_init(&ib, PROC_CHANNEL_FD);
	b = imsg_create(&ib, IMSG_CTL_LOG, 0, 0, 0);
	if (b == NULL || ibuf_add_zero(b, MSG_HDR_LEN) == -1 ||
	    log_line_put(b, &l) == -1)
		_exit(9);
	((struct imsg_hdr *)ibuf_data(b))->len = (uint32_t)ibuf_size(b);
	while (n + (len = ibuf_size(b)) <= sizeof(block)) {
		memcpy(block + n, ibuf_data(b), len);
		n += len;
	}
	ibuf_free(b);
	give_up(&ib, idx, run);
	while (write(PROC_CHANNEL_FD, block, n) == (ssize_t)n)
		;
	_exit(9);
}

static inline void
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
static inline void
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
static inline void
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
		else if (strcmp(name, "floods") == 0)
			give_up_and_flood(0, runs[0]);
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

static inline void
keep_line(void *arg, int prio, const char *line)
{
	size_t n = strlen(lines);

	snprintf(lines + n, sizeof(lines) - n, "%s\n", line);
}

static inline unsigned int
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

static inline void
too_late(int fd, short ev, void *arg)
{
	late = 1;
}

/* Until the log has `text' that often. */
static inline void
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
static inline void
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

static inline void
up(const char *name, const char *a, const char *b)
{
	lines[0] = '\0';
	log_set_sink(keep_line, NULL);
	start_with(name, 11, a, b);
	expect(START, 11, VMERR_OK, VMEXIT_NONE, NULL);
}

/* The process of device `idx' of the only guest; 0: none. */
static inline pid_t
device_pid(uint32_t idx)
{
	struct device *d = device_find(TAILQ_FIRST(&role.guests), DEV_VIOBLK,
	    idx);

	assert_non_null(d);
	return d->pidfd == -1 ? 0 : d->pid;
}

static inline void
kill_device(uint32_t idx)
{
	pid_t pid = device_pid(idx);

	assert_true(pid > 1);
	assert_int_equal(kill(pid, SIGKILL), 0);
}

static inline void
stop(void)
{
	order(IMSG_VMDOP_TERMINATE_VM_REQUEST, 1, 1, 90, VMOP_FORCE, NULL);
	expect(STOPPED, 90, VMERR_OK, VMEXIT_NONE, NULL);
	expect(ENDED, 0, VMERR_OK, VMEXIT_STOPPED, "stopped");
}

static inline int
finish(void **state)
{
	log_set_sink(NULL, NULL);
	return teardown(state);
}

#define D(f) cmocka_unit_test_setup_teardown(f, setup, finish)

#endif
