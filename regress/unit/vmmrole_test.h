#ifndef VMMROLE_TEST_H
#define VMMROLE_TEST_H

/*
 * The real vmm between a parent and guests that a test plays.  The program
 * is its own guest: started as `vm' it runs guest_main(), which hands every
 * message to guest_started() or guest_order_got() of the test.
 */

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <event2/event.h>
#include <cmocka.h>

#include "lib/proto/wire.h"
#include "lib/util/log.h"
#include "proc/proc.h"
#include "vmd/vmm/vmm.h"

#define DEADLINE 20 /* s for anything to happen */

/* --- the guest ------------------------------------------------------------ */

static inline void
guest_send(struct imsgbuf *ib, uint32_t type, uint64_t reqid,
    const struct vmop_result *r)
{
	struct ibuf *b = imsg_create(ib, type, 0, 0, 0);

	if (b == NULL || wire_put_u64(b, reqid) == -1 ||
	    wire_put_u64(b, 0) == -1 || vmop_result_put(b, r) == -1)
		_exit(9);
	imsg_close(ib, b);
	if (imsgbuf_flush(ib) == -1)
		_exit(9);
}

static inline void __attribute__((noreturn))
guest_end(struct imsgbuf *ib, enum vmexit how)
{
	struct vmop_result r = { .exit = how };

	guest_send(ib, IMSG_VMDOP_VM_EXIT, 0, &r);
	_exit(0);
}

/* The start message, then every other one; by the test. */
void
guest_started(struct imsgbuf *ib, struct imsg *m, uint64_t reqid, char *name);
void guest_order_got(struct imsgbuf *ib, struct imsg *m, uint64_t reqid,
    const char *name);

static inline void __attribute__((noreturn)) guest_main(void)
{
	char name[VM_NAME_MAX] = "";
	struct imsgbuf ib;
	struct imsg m;
	uint64_t reqid, conn;

	imsgbuf_init(&ib, PROC_CHANNEL_FD);
	imsgbuf_allow_fdpass(&ib);
	imsgbuf_set_maxsize(&ib, MSG_MAXSIZE);
	while (imsgbuf_read(&ib) == 1) {
		while (imsgbuf_get(&ib, &m) == 1) {
			if (wire_get_u64(m.buf, &reqid) == -1 ||
			    wire_get_u64(m.buf, &conn) == -1)
				_exit(9);
			if (m.hdr.type == IMSG_VMDOP_START_VM_REQUEST)
				guest_started(&ib, &m, reqid, name);
			else
				guest_order_got(&ib, &m, reqid, name);
			imsg_free(&m);
		}
	}
	_exit(0);
}

/* --- the parent ----------------------------------------------------------- */

static struct event_base *base;
static struct vmm_role role;
static struct imsgbuf down; /* our end of its channel */
static int down_fd, fds_before;
static struct event *readable;

static inline int
open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static inline void
up_closed(struct peer *p, const char *why)
{
	fail_msg("vmm closed its channel: %s", why == NULL ? "end" : why);
}

static inline void
wake(int fd, short ev, void *arg)
{
	event_base_loopbreak(base);
}

static inline int
setup(void **state)
{
	struct peer_conf pc = { .role = ROLE_PARENT,
		.name = "parent",
		.msgs = vmm_msgs,
		.nmsgs = vmm_nmsgs,
		.closed = up_closed,
		.arg = &role };
	int sv[2];

	fds_before = open_fds();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1 ||
	    (base = event_base_new()) == NULL)
		return -1;
	vmm_role_init(&role, base);
	role.shared_ids = 1;
	role.kill_s = 1;
	role.kvm = open("/dev/null", O_RDWR | O_CLOEXEC);
	role.exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	role.up = peer_new(base, sv[0], &pc);
	down_fd = sv[1];
	fcntl(down_fd, F_SETFL, O_NONBLOCK);
	imsgbuf_init(&down, down_fd);
	imsgbuf_allow_fdpass(&down);
	imsgbuf_set_maxsize(&down, MSG_MAXSIZE);
	readable = event_new(base, down_fd, EV_READ | EV_PERSIST, wake, NULL);
	return readable == NULL ? -1 : event_add(readable, NULL);
}

/* No guest, no process, no descriptor is left. */
static inline int
teardown(void **state)
{
	int empty = TAILQ_EMPTY(&role.guests);

	event_free(readable);
	peer_free(role.up);
	imsgbuf_clear(&down);
	close(down_fd);
	close(role.kvm);
	close(role.exe);
	event_base_free(base);
	if (!empty || waitpid(-1, NULL, WNOHANG) != -1)
		return -1;
	return open_fds() == fds_before ? 0 : -1;
}

static inline void
send_body(uint32_t type, uint64_t reqid, struct ibuf *body, int *fds, size_t n)
{
	struct ibuf *b = imsg_create(&down, type, 0, 0, 0);

	assert_non_null(b);
	assert_int_equal(wire_put_u64(b, reqid), 0);
	assert_int_equal(wire_put_u64(b, 0), 0);
	if (body != NULL)
		assert_int_equal(ibuf_add_ibuf(b, body), 0);
	assert_int_equal(imsg_set_fds(b, fds, n), 0);
	imsg_close(&down, b);
	assert_int_equal(imsgbuf_write(&down), 0);
	ibuf_free(body);
}

static inline void
start(const char *name, uint32_t id, uint64_t reqid)
{
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);
	struct vm_spec *s = vm_spec_new(name);
	const struct fdlist none = FDLIST_INIT;

	s->id = id;
	s->generation = 1;
	assert_int_equal(vm_spec_put(b, s), 0);
	assert_int_equal(wire_put_fdlist(b, &none), 0);
	vm_spec_free(s);
	send_body(IMSG_VMDOP_START_VM_REQUEST, reqid, b, NULL, 0);
}

static inline void
order_arg(uint32_t type, uint32_t id, uint64_t generation, uint64_t reqid,
    uint32_t flags, uint32_t arg, int *fd)
{
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);
	struct vmop_id v = { .id = id,
		.generation = generation,
		.flags = flags,
		.arg = arg };

	assert_int_equal(vmop_id_put(b, &v), 0);
	send_body(type, reqid, b, fd, fd != NULL);
}

static inline void
order(uint32_t type, uint32_t id, uint64_t generation, uint64_t reqid,
    uint32_t flags, int *fd)
{
	order_arg(type, id, generation, reqid, flags, 0, fd);
}

/* Of the last answer that had one. */
static struct dev_list last_list;

/* The next message but for the log; its request id. */
static inline uint64_t
next(uint32_t *type, struct vmop_result *r)
{
	const struct timeval tv = { DEADLINE, 0 };
	uint64_t reqid, conn;
	struct imsg m;

	for (;;) {
		while (imsgbuf_get(&down, &m) != 1) {
			event_base_loopexit(base, &tv);
			event_base_dispatch(base);
			assert_false(event_base_got_exit(base));
			assert_int_equal(imsgbuf_read(&down), 1);
		}
		if (m.hdr.type != IMSG_CTL_LOG)
			break;
		imsg_free(&m);
	}
	*type = m.hdr.type;
	assert_int_equal(wire_get_u64(m.buf, &reqid), 0);
	assert_int_equal(wire_get_u64(m.buf, &conn), 0);
	assert_int_equal(vmop_result_get(m.buf, r), 0);
	if (*type == IMSG_VMDOP_DEVICES_RESPONSE && r->err == VMERR_OK)
		assert_int_equal(dev_list_get(m.buf, &last_list), 0);
	imsg_free(&m);
	return reqid;
}

static inline void
expect(uint32_t want, uint64_t reqid, enum vmerr err, enum vmexit how,
    const char *text)
{
	struct vmop_result r;
	uint32_t type;
	uint64_t got = next(&type, &r);

	assert_string_equal(msg_name(type), msg_name(want));
	assert_int_equal(got, reqid);
	assert_int_equal(r.err, err);
	assert_int_equal(r.exit, how);
	if (text != NULL)
		assert_non_null(strstr(r.text == NULL ? "" : r.text, text));
	vmop_result_fini(&r);
}

#define START IMSG_VMDOP_START_VM_RESPONSE
#define ENDED IMSG_VMDOP_TERMINATE_VM_EVENT

#define T(f)  cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
