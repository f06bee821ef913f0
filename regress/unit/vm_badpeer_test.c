/*
 * The process of a guest with a vmm that does not keep to the rules.  vmm is
 * above it, so there is nothing to defend; but it must end at once, by an
 * exit, and say why.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "lib/proto/msg.h"
#include "lib/proto/vminfo.h"
#include "lib/proto/vmspec.h"
#include "lib/proto/wire.h"
#include "lib/util/fdlist.h"
#include "lib/util/ring.h"
#include "proc/spawn.h"

#define GUEST	 "build/vmd-guest"
#define KERNEL	 "build/guest/tick.elf"
#define PATIENCE 20000 /* ms */
#define START	 IMSG_VMDOP_START_VM_REQUEST
#define STARTED	 IMSG_VMDOP_START_VM_RESPONSE

static struct imsgbuf up; /* our end of its channel */
static int fd = -1, pidfd;
static pid_t pid;
static char lines[8192];    /* what it logged */
static uint32_t last_type;  /* of the last other message ... */
static uint32_t last_err;   /* ... a vmop_result */
static unsigned int others; /* how many */

static int
begin(void **state)
{
	static const char *const argv[] = { "vm", NULL };
	struct spawn s = { .argv = argv, .keep_stdio = 1 };
	int sv[2];

	lines[0] = '\0';
	others = 0;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1 ||
	    (s.exe = open(GUEST, O_PATH | O_CLOEXEC)) == -1)
		return -1;
	s.channel = sv[1];
	pid = spawn(&s, &pidfd);
	close(sv[1]);
	close(s.exe);
	fd = sv[0];
	if (imsgbuf_init(&up, fd) == -1 ||
	    imsgbuf_set_maxsize(&up, MSG_MAXSIZE) == -1)
		return -1;
	imsgbuf_allow_fdpass(&up);
	return pid == -1 ? -1 : 0;
}

static int
finish(void **state)
{
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	pid = -1;
	imsgbuf_clear(&up);
	close(fd);
	close(pidfd);
	return 0;
}

/* --- to it -------------------------------------------------------------- */

/* `n' bytes of `data' after a header that is whole. */
static void
say(uint32_t type, const void *data, size_t n, int *fds, size_t nfds)
{
	struct ibuf *b = imsg_create(&up, type, 0, 0, 16 + n);

	assert_non_null(b);
	assert_int_equal(wire_put_u64(b, 1), 0);
	assert_int_equal(wire_put_u64(b, 0), 0);
	assert_int_equal(ibuf_add(b, data, n), 0);
	if (nfds > 0)
		assert_int_equal(imsg_set_fds(b, fds, nfds), 0);
	imsg_close(&up, b);
	/* It may have ended over what came before. */
	if (imsgbuf_flush(&up) == -1)
		assert_true(errno == EPIPE || errno == ECONNRESET);
}

static void
say_id(uint32_t type)
{
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);
	const struct vmop_id op = { .id = 1 };

	assert_int_equal(vmop_id_put(b, &op), 0);
	say(type, ibuf_data(b), ibuf_size(b), NULL, 0);
	ibuf_free(b);
}

/* A start request without files; the caller frees. */
static struct ibuf *
start_body(const struct fdlist *fds)
{
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);
	struct vm_spec *s = vm_spec_new("bad");

	s->id = 1;
	s->generation = 1;
	s->cpus = 2;
	s->memory = 32ULL << 20;
	s->boot = strdup("/kernel");
	assert_int_equal(vm_spec_put(b, s), 0);
	assert_int_equal(wire_put_fdlist(b, fds), 0);
	vm_spec_free(s);
	return b;
}

/* --- from it ------------------------------------------------------------ */

static void
take(struct imsg *im)
{
	struct vmop_result r;
	struct log_line l;
	uint64_t nr;
	size_t n = strlen(lines);

	assert_int_equal(wire_get_u64(im->buf, &nr), 0);
	assert_int_equal(wire_get_u64(im->buf, &nr), 0);
	if (imsg_get_type(im) == IMSG_CTL_LOG) {
		assert_int_equal(log_line_get(im->buf, &l), 0);
		snprintf(lines + n, sizeof(lines) - n, "%s\n", l.text);
		log_line_fini(&l);
		return;
	}
	if (imsg_get_type(im) == IMSG_CTL_READY)
		return;
	others++;
	last_type = imsg_get_type(im);
	assert_int_equal(vmop_result_get(im->buf, &r), 0);
	last_err = r.err;
	vmop_result_fini(&r);
}

/* Read until `n' messages but for the log came; 0, or -1 at the end. */
static int
hear(unsigned int n)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct imsg im;
	ssize_t got;
	int rc;

	for (;;) {
		while ((got = imsg_get(&up, &im)) > 0) {
			take(&im);
			imsg_free(&im);
		}
		assert_int_equal(got, 0);
		if (others >= n)
			return 0;
		assert_int_equal(poll(&p, 1, PATIENCE), 1);
		if ((rc = imsgbuf_read(&up)) == 0 ||
		    (rc == -1 && errno == ECONNRESET))
			return -1;
		assert_int_equal(rc, 1);
	}
}

/* It exits with `status', after it said `text' (NULL: nothing). */
static void
ends(int status, const char *text)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int st;

	hear(UINT32_MAX);
	if (text == NULL)
		assert_string_equal(lines, "");
	else if (strstr(lines, text) == NULL)
		fail_msg("no \"%s\" in \"%s\"", text, lines);
	assert_int_equal(poll(&p, 1, PATIENCE), 1);
	assert_int_equal(waitpid(pid, &st, 0), pid);
	pid = -1;
	if (!WIFEXITED(st) || WEXITSTATUS(st) != status)
		fail_msg("wait status %#x after %s", st, text);
}

/* Again with a new one. */
static void
another(void)
{
	finish(NULL);
	assert_int_equal(begin(NULL), 0);
}

/* --- before it was started ---------------------------------------------- */

static void
unknown(void **state)
{
	static const uint32_t types[] = { 0, IMSG_TYPE_MAX, 9999, UINT32_MAX };
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		say(types[i], "", 0, NULL, 0);
		ends(1, "vmm: unknown message, ended");
		another();
	}
}

/* Each type that is not vmm's to send to it. */
static void
not_allowed(void **state)
{
	static const uint32_t yes[] = { START, IMSG_VMDOP_VM_SHUTDOWN,
		IMSG_VMDOP_VM_STOP, IMSG_VMDOP_PAUSE_VM, IMSG_VMDOP_UNPAUSE_VM,
		IMSG_CTL_CONSOLE_REQUEST, IMSG_CTL_BREAK, IMSG_CTL_VERBOSE,
		IMSG_VMDOP_DEVICE, IMSG_VMDOP_DEVICES_REQUEST };
	uint32_t t;
	size_t i;

	for (t = 1; t < IMSG_TYPE_MAX; t++) {
		for (i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
			if (yes[i] == t)
				break;
		if (i < sizeof(yes) / sizeof(yes[0]))
			continue;
		say(t, "", 0, NULL, 0);
		ends(1, "vmm: message not allowed, ended");
		another();
	}
}

/* A start request of which something is missing, anywhere. */
static void
short_start(void **state)
{
	const struct fdlist none = FDLIST_INIT;
	struct ibuf *b = start_body(&none);
	size_t n;

	for (n = 0; n < ibuf_size(b); n += 7) {
		say(START, ibuf_data(b), n, NULL, 0);
		ends(1, "vmm: malformed message, ended");
		another();
	}
	ibuf_free(b);
}

static void
short_orders(void **state)
{
	static const uint32_t types[] = { IMSG_VMDOP_PAUSE_VM,
		IMSG_VMDOP_UNPAUSE_VM, IMSG_CTL_CONSOLE_REQUEST, IMSG_CTL_BREAK,
		IMSG_CTL_VERBOSE, IMSG_VMDOP_DEVICES_REQUEST };
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		say(types[i], "\1\0\0", 3, NULL, 0);
		ends(1, "vmm: malformed message, ended");
		another();
	}
	/* One without a whole header. */
	assert_int_equal(imsg_compose(&up, IMSG_VMDOP_VM_STOP, 0, 0, -1, "1234",
			     4),
	    1);
	assert_int_equal(imsgbuf_flush(&up), 0);
	ends(1, "vmm: short message, ended");
}

static void
too_long(void **state)
{
	const struct fdlist none = FDLIST_INIT;
	struct ibuf *b = start_body(&none);

	say(IMSG_VMDOP_VM_STOP, "more", 4, NULL, 0);
	ends(1, "vmm: malformed message, ended");
	another();
	assert_int_equal(ibuf_add(b, "more", 4), 0);
	say(START, ibuf_data(b), ibuf_size(b), NULL, 0);
	ends(1, "vmm: malformed message, ended");
	ibuf_free(b);
}

static void
descriptors(void **state)
{
	const struct fdlist none = FDLIST_INIT;
	struct ibuf *b = start_body(&none);
	int fds[2];

	/* One too many for its type ... */
	fds[0] = open("/dev/null", O_RDWR);
	say(IMSG_VMDOP_VM_SHUTDOWN, "", 0, fds, 1);
	ends(1, "vmm: too many descriptors, ended");
	another();
	/* ... and for the list beside it. */
	fds[0] = open("/dev/null", O_RDWR);
	fds[1] = open("/dev/null", O_RDWR);
	say(START, ibuf_data(b), ibuf_size(b), fds, 2);
	ends(1, "vmm: malformed message, ended");
	ibuf_free(b);
}

static void
noise(void **state)
{
	unsigned char junk[512];

	memset(junk, 0xa5, sizeof(junk));
	assert_int_equal(write(fd, junk, sizeof(junk)), sizeof(junk));
	ends(1, "vmm: malformed stream, ended");
}

/* vmm is gone: between two messages, and in the middle of one. */
static void
gone(void **state)
{
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	ends(0, NULL);
	another();
	assert_int_equal(write(fd, "\1\0\0", 3), 3);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	ends(0, NULL);
}

/* Orders that come too early are answered and change nothing. */
static void
too_early(void **state)
{
	static const struct {
		uint32_t type;
		uint32_t answer;
	} t[] = {
		{ IMSG_VMDOP_PAUSE_VM, IMSG_VMDOP_PAUSE_VM_RESPONSE },
		{ IMSG_VMDOP_UNPAUSE_VM, IMSG_VMDOP_UNPAUSE_VM_RESPONSE },
		{ IMSG_CTL_CONSOLE_REQUEST, IMSG_CTL_CONSOLE_RESPONSE },
		{ IMSG_CTL_BREAK, IMSG_CTL_BREAK_RESPONSE },
	};
	unsigned int i;

	say(IMSG_VMDOP_VM_SHUTDOWN, "", 0, NULL, 0);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		say_id(t[i].type);
		assert_int_equal(hear(i + 1), 0);
		assert_int_equal(last_type, t[i].answer);
		assert_int_equal(last_err, VMERR_NOTRUNNING);
	}
	say(IMSG_VMDOP_VM_STOP, "", 0, NULL, 0);
	ends(0, NULL);
}

/* A start that cannot work is answered, once, and it ends. */
static void
no_files(void **state)
{
	const struct fdlist none = FDLIST_INIT;
	struct ibuf *b = start_body(&none);

	say(START, ibuf_data(b), ibuf_size(b), NULL, 0);
	assert_int_equal(hear(1), 0);
	assert_int_equal(last_type, STARTED);
	assert_int_not_equal(last_err, VMERR_OK);
	ends(0, NULL);
	assert_int_equal(others, 1);
	ibuf_free(b);
}

/* --- while its guest runs ------------------------------------------------ */

static void
add(struct fdlist *fds, enum fd_kind kind, int file)
{
	assert_int_not_equal(file, -1);
	assert_int_equal(fdlist_add(fds, kind, 0, 0, &file), 0);
}

static void
start(void)
{
	struct fdlist fds = FDLIST_INIT;
	int list[VM_MAXFDS];
	struct ibuf *b;
	size_t i;

	if (access("/dev/kvm", R_OK | W_OK) == -1)
		skip();
	add(&fds, FD_KVM, open("/dev/kvm", O_RDWR | O_CLOEXEC));
	add(&fds, FD_BOOT, open(KERNEL, O_RDONLY | O_CLOEXEC));
	add(&fds, FD_CONSOLE, ring_create());
	b = start_body(&fds);
	for (i = 0; i < fds.n; i++)
		list[i] = fds.ents[i].fd;
	say(START, ibuf_data(b), ibuf_size(b), list, fds.n);
	ibuf_free(b);
	assert_int_equal(hear(1), 0);
	assert_int_equal(last_type, STARTED);
	assert_int_equal(last_err, VMERR_OK);
}

static void
started_twice(void **state)
{
	const struct fdlist none = FDLIST_INIT;
	struct ibuf *b;

	start();
	b = start_body(&none);
	say(START, ibuf_data(b), ibuf_size(b), NULL, 0);
	ends(1, "started twice");
	assert_non_null(strstr(lines, "vmm: malformed message, ended"));
	/* The second has no answer: it was no request. */
	assert_int_equal(others, 1);
	ibuf_free(b);
}

/* In its sandbox as well, and with threads. */
static void
running(void **state)
{
	int null;

	start();
	say(9999, "", 0, NULL, 0);
	ends(1, "vmm: unknown message, ended");
	another();
	start();
	null = open("/dev/null", O_RDWR);
	say(IMSG_VMDOP_VM_STOP, "", 0, &null, 1);
	ends(1, "vmm: too many descriptors, ended");
	another();
	start();
	say(IMSG_VMDOP_PAUSE_VM, "\1", 1, NULL, 0);
	ends(1, "vmm: malformed message, ended");
	another();
	start();
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	ends(0, NULL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(unknown),
		T(not_allowed),
		T(short_start),
		T(short_orders),
		T(too_long),
		T(descriptors),
		T(noise),
		T(gone),
		T(too_early),
		T(no_files),
		T(started_twice),
		T(running),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
