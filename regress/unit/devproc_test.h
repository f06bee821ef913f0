#ifndef DEVPROC_TEST_H
#define DEVPROC_TEST_H

/*
 * The real program vmd-guest as `vioblk', between a vmm and a vm process
 * that a test plays: its channels, a guest's memory with one queue in it, an
 * image.
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
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/virtio_blk.h>
#include <cmocka.h>

#include "lib/proto/devmsg.h"
#include "lib/proto/devpage.h"
#include "lib/proto/msg.h"
#include "lib/proto/vminfo.h"
#include "lib/proto/wire.h"
#include "lib/util/fdlist.h"
#include "proc/spawn.h"

#define GUEST	  "build/vmd-guest"
#define PATIENCE  20000 /* ms */
#define MEMORY	  (1U << 20)
#define QUEUE	  128 /* entries */
#define SECTORS	  2048
#define NREQS	  32 /* at a time, of four descriptors' room */

#define DESC	  0x1000
#define AVAIL	  0x2000
#define USED	  0x3000
#define HEADER(i) (0x10000 + (i)*32ULL)
#define STATUS(i) (0x18000 + (i)*1ULL)
#define DATA(i)	  (0x20000 + (i)*512ULL)

enum {
	VMM,
	VM,
	NCHANNELS
};

static struct {
	struct imsgbuf ib[NCHANNELS]; /* our ends of its channels */
	int fd[NCHANNELS];	      /* -1: closed */
	pid_t pid;
	int pidfd;
	char lines[8192];     /* what it logged */
	unsigned int reports; /* of its sandbox */
	/* Memory and the rest of a guest, for several processes. */
	struct gmem mem;
	struct dev_page *page;
	size_t page_size;
	int page_fd, image;
	uint32_t qcow2;		 /* the image is */
	int (*child)(void *arg); /* before it is one, or NULL */
	int kick, call;
} t = { .fd = { -1, -1 }, .pid = -1, .pidfd = -1 };

/* --- a guest ---------------------------------------------------------------- */

static inline int
sealed(const char *name, size_t size, int seals)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd == -1 || ftruncate(fd, (off_t)size) == -1 ||
	    fcntl(fd, F_ADD_SEALS, seals) == -1)
		return -1;
	return fd;
}

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static inline int
guest_new(void)
{
	memset(&t.mem, 0, sizeof(t.mem));
	t.page_size = DEV_PAGE_SIZE(1, QUEUE);
	if (gmem_add(&t.mem, 0, MEMORY, GMEM_RAM) == -1 ||
	    gmem_create(&t.mem) == -1 ||
	    (t.page_fd = sealed("page", t.page_size, SEALS)) == -1 ||
	    (t.image = memfd_create("image", MFD_CLOEXEC)) == -1 ||
	    ftruncate(t.image, SECTORS * 512L) == -1)
		return -1;
	t.page = mmap(NULL, t.page_size, PROT_READ | PROT_WRITE, MAP_SHARED,
	    t.page_fd, 0);
	t.kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	t.call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return t.page == MAP_FAILED || t.kick == -1 || t.call == -1 ? -1 : 0;
}

static inline void
guest_free(void)
{
	gmem_fini(&t.mem);
	munmap(t.page, t.page_size);
	close(t.page_fd);
	close(t.image);
	close(t.kick);
	close(t.call);
}

/* --- a process ---------------------------------------------------------------- */

static inline int
launch(void)
{
	static const char *const argv[] = { "vioblk", NULL };
	struct spawn s = { .argv = argv,
		.keep_stdio = 1,
		.nfds = 1,
		.child = t.child };
	int sv[NCHANNELS][2], i;

	t.lines[0] = '\0';
	t.reports = 0;
	if ((s.exe = open(GUEST, O_PATH | O_CLOEXEC)) == -1)
		return -1;
	for (i = 0; i < NCHANNELS; i++) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv[i]) ==
		    -1)
			return -1;
		t.fd[i] = sv[i][0];
		if (imsgbuf_init(&t.ib[i], t.fd[i]) == -1 ||
		    imsgbuf_set_maxsize(&t.ib[i], MSG_MAXSIZE) == -1)
			return -1;
		imsgbuf_allow_fdpass(&t.ib[i]);
	}
	s.channel = sv[VMM][1];
	s.fds = &sv[VM][1];
	t.pid = spawn(&s, &t.pidfd);
	close(sv[VMM][1]);
	close(sv[VM][1]);
	close(s.exe);
	return t.pid == -1 ? -1 : 0;
}

static inline void
hang_up(int who)
{
	if (t.fd[who] == -1)
		return;
	imsgbuf_clear(&t.ib[who]);
	fd_close(&t.fd[who]);
}

/* Kill and reap it, if it lives; its channels are gone too. */
static inline void
bury(void)
{
	if (t.pid > 0) {
		kill(t.pid, SIGKILL);
		waitpid(t.pid, NULL, 0);
	}
	t.pid = -1;
	hang_up(VMM);
	hang_up(VM);
	fd_close(&t.pidfd);
}

static inline int
begin(void **state)
{
	return guest_new() == -1 ? -1 : launch();
}

static inline int
finish(void **state)
{
	bury();
	guest_free();
	return 0;
}

/* Again with a new one. */
static inline void
another(void)
{
	finish(NULL);
	assert_int_equal(begin(NULL), 0);
}

/* --- to it -------------------------------------------------------------------- */

/* `n' bytes of `data' after a header that is whole. */
static inline void
say(int who, uint32_t type, const void *data, size_t n, int *fds, size_t nfds)
{
	struct ibuf *b = imsg_create(&t.ib[who], type, 0, 0, MSG_HDR_LEN + n);

	assert_non_null(b);
	assert_int_equal(ibuf_add_zero(b, MSG_HDR_LEN), 0);
	assert_int_equal(ibuf_add(b, data, n), 0);
	if (nfds > 0)
		assert_int_equal(imsg_set_fds(b, fds, nfds), 0);
	imsg_close(&t.ib[who], b);
	/* It may have ended over what came before. */
	if (imsgbuf_flush(&t.ib[who]) == -1)
		assert_true(errno == EPIPE || errno == ECONNRESET);
}

static inline void
say_body(int who, uint32_t type, struct ibuf *b, int *fds, size_t nfds)
{
	say(who, type, ibuf_data(b), ibuf_size(b), fds, nfds);
	ibuf_free(b);
}

static inline struct ibuf *
body(void)
{
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);

	assert_non_null(b);
	return b;
}

static inline struct ibuf *
start_body(uint32_t kind, uint32_t qcow2, const struct fdlist *fds)
{
	char name[] = "bad", path[] = "/image";
	const struct dev_start s = { .kind = kind,
		.qcow2 = qcow2,
		.layers = (uint32_t)fds->n,
		.name = name,
		.path = path };
	struct ibuf *b = body();

	assert_int_equal(dev_start_put(b, &s), 0);
	assert_int_equal(wire_put_fdlist(b, fds), 0);
	return b;
}

/* With `*fd' as its image, which is taken. */
static inline void
say_start(uint32_t qcow2, int *fd)
{
	struct fdlist fds = FDLIST_INIT;

	assert_int_equal(fdlist_add(&fds, FD_DISK, 0, 0, fd), 0);
	say_body(VMM, IMSG_DEVOP_START, start_body(DEV_VIOBLK, qcow2, &fds),
	    &fds.ents[0].fd, 1);
}

static inline struct ibuf *
hello_body(uint32_t nqueues, uint32_t queue_max, size_t page_size)
{
	const struct dev_hello h = { .nqueues = nqueues,
		.queue_max = queue_max,
		.page_size = (uint32_t)page_size,
		.mem = t.mem };
	struct ibuf *b = body();

	assert_int_equal(dev_hello_put(b, &h), 0);
	return b;
}

static inline int
copy(int fd)
{
	int n = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	assert_int_not_equal(n, -1);
	return n;
}

#define NHELLO 4

static inline void
hello_fds(int fds[NHELLO])
{
	fds[0] = copy(t.mem.fd);
	fds[1] = copy(t.page_fd);
	fds[2] = copy(t.kick);
	fds[3] = copy(t.call);
}

static inline void
say_hello(void)
{
	int fds[NHELLO];

	hello_fds(fds);
	say_body(VM, IMSG_DEVOP_HELLO, hello_body(1, QUEUE, t.page_size), fds,
	    NHELLO);
}

static inline void
say_order(uint32_t type, const struct dev_order *o)
{
	struct ibuf *b = body();

	assert_int_equal(dev_order_put(b, o), 0);
	say_body(VM, type, b, NULL, 0);
}

static inline struct ibuf *
activate_body(uint32_t resume)
{
	const struct dev_activate a = { .generation = 1,
		.features = 1ULL << VIRTIO_BLK_F_FLUSH |
		    1ULL << VIRTIO_BLK_F_CONFIG_WCE,
		.resume = resume,
		.nqueues = 1,
		.queues = { { QUEUE, DESC, AVAIL, USED } } };
	struct ibuf *b = body();

	assert_int_equal(dev_activate_put(b, &a), 0);
	return b;
}

/* --- from it -------------------------------------------------------------------- */

static inline void
take_line(struct imsg *im)
{
	size_t n = strlen(t.lines);
	struct log_line l;

	assert_int_equal(log_line_get(im->buf, &l), 0);
	if (imsg_get_type(im) == IMSG_CTL_READY) {
		t.reports++;
		log_line_fini(&l);
		return;
	}
	assert_int_equal(imsg_get_type(im), IMSG_CTL_LOG);
	snprintf(t.lines + n, sizeof(t.lines) - n, "%s\n", l.text);
	log_line_fini(&l);
}

/* The next message, or 0 if there is none yet. */
static inline int
take(int who, struct imsg *im)
{
	uint64_t nr;
	ssize_t got;

	while (t.fd[who] != -1) {
		if ((got = imsg_get(&t.ib[who], im)) == 0)
			return 0;
		assert_true(got > 0);
		assert_int_equal(wire_get_u64(im->buf, &nr), 0);
		assert_int_equal(wire_get_u64(im->buf, &nr), 0);
		if (who == VM)
			return 1;
		take_line(im);
		imsg_free(im);
	}
	return 0;
}

/*
 * The next message to the vm process, to be freed; -1 when it has closed its
 * channels.
 */
static inline int
hear(struct imsg *im)
{
	struct pollfd p[NCHANNELS];
	int i, rc;

	for (;;) {
		take(VMM, im);
		if (take(VM, im) == 1)
			return 0;
		if (t.fd[VMM] == -1 && t.fd[VM] == -1)
			return -1;
		for (i = 0; i < NCHANNELS; i++) {
			p[i].fd = t.fd[i];
			p[i].events = POLLIN;
			p[i].revents = 0;
		}
		assert_true(poll(p, NCHANNELS, PATIENCE) > 0);
		for (i = 0; i < NCHANNELS; i++) {
			if (p[i].revents == 0)
				continue;
			rc = imsgbuf_read(&t.ib[i]);
			if (rc == 0 || (rc == -1 && errno == ECONNRESET))
				hang_up(i);
			else
				assert_int_equal(rc, 1);
		}
	}
}

static inline void
expect(struct imsg *im, uint32_t type)
{
	if (hear(im) == -1)
		fail_msg("no %s; log: %s", msg_name(type), t.lines);
	assert_string_equal(msg_name(imsg_get_type(im)), msg_name(type));
}

static inline void
expect_order(uint32_t type, uint64_t generation)
{
	struct dev_order o;
	struct imsg im;

	expect(&im, type);
	assert_int_equal(dev_order_get(im.buf, &o), 0);
	assert_int_equal(wire_end(im.buf), 0);
	assert_int_equal(o.generation, generation);
	imsg_free(&im);
}

/* READY or SHUTDOWN_DONE; `error' is a part of its error, NULL: none. */
static inline void
expect_ready(uint32_t type, const char *error)
{
	struct dev_ready r;
	struct imsg im;

	expect(&im, type);
	assert_int_equal(dev_ready_get(im.buf, &r), 0);
	assert_int_equal(wire_end(im.buf), 0);
	if (error == NULL)
		assert_null(r.error);
	else
		assert_non_null(strstr(r.error, error));
	dev_ready_fini(&r);
	imsg_free(&im);
}

/* It exits with `status', after it said `text' (NULL: no matter). */
static inline void
ends(int status, const char *text)
{
	struct pollfd p = { .fd = t.pidfd, .events = POLLIN };
	struct imsg im;
	int st;

	while (hear(&im) == 0)
		imsg_free(&im);
	assert_int_equal(poll(&p, 1, PATIENCE), 1);
	assert_int_equal(waitpid(t.pid, &st, 0), t.pid);
	t.pid = -1;
	if (text != NULL && strstr(t.lines, text) == NULL)
		fail_msg("no \"%s\" in \"%s\"", text, t.lines);
	if (!WIFEXITED(st) || WEXITSTATUS(st) != status)
		fail_msg("wait status %#x after %s", st, t.lines);
}

/* As far as READY. */
static inline void
ready(void)
{
	int fd = copy(t.image);

	say_start(t.qcow2, &fd);
	say_hello();
	expect_ready(IMSG_DEVOP_READY, NULL);
}

static inline void
activate(uint32_t resume)
{
	say_body(VM, IMSG_DEVOP_ACTIVATE, activate_body(resume), NULL, 0);
}

/* --- the driver -------------------------------------------------------------------- */

struct vdesc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

static inline volatile uint16_t *
word(uint64_t gpa)
{
	return (volatile uint16_t *)(void *)(t.mem.base + gpa);
}

/* Request `i' of one sector: three descriptors from 4 * i on. */
static inline void
offer(unsigned int i, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr h = { .type = type, .sector = sector };
	struct vdesc *d = (struct vdesc *)(void *)(t.mem.base + DESC) + 4 * i;
	uint16_t idx = *word(AVAIL + 2);
	uint16_t at = (uint16_t)(4 * i);

	memcpy(t.mem.base + HEADER(i), &h, sizeof(h));
	t.mem.base[STATUS(i)] = 0xff;
	d[0] = (struct vdesc){ HEADER(i), sizeof(h), 1, at + 1 };
	d[1] = (struct vdesc){ DATA(i), 512, type == VIRTIO_BLK_T_IN ? 3 : 1,
		at + 2 };
	d[2] = (struct vdesc){ STATUS(i), 1, 2, 0 };
	*word(AVAIL + 4 + 2 * (idx % QUEUE)) = at;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	*word(AVAIL + 2) = idx + 1;
}

static inline void
kick(void)
{
	uint64_t one = 1;

	assert_int_equal(write(t.kick, &one, sizeof(one)), sizeof(one));
}

static inline uint16_t
used(void)
{
	uint16_t n = *word(USED + 2);

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return n;
}

/* An interrupt, and then another, until used.idx is `n' or more. */
static inline void
served(uint16_t n)
{
	struct pollfd p = { .fd = t.call, .events = POLLIN };
	uint64_t cnt;

	while (used() < n) {
		assert_int_equal(poll(&p, 1, PATIENCE), 1);
		assert_int_equal(read(t.call, &cnt, sizeof(cnt)), sizeof(cnt));
	}
}

/* Messages are acted on in order: all that was sent before was. */
static inline void
round_trip(uint64_t number)
{
	const struct dev_order o = { .generation = number };

	say_order(IMSG_DEVOP_PAUSE, &o);
	expect_order(IMSG_DEVOP_PAUSED, number);
}

/* Stop it where it is; 0: we may not. */
static inline int
hold(void)
{
	int st;

	if (ptrace(PTRACE_SEIZE, t.pid, 0, PTRACE_O_EXITKILL) == -1 ||
	    ptrace(PTRACE_INTERRUPT, t.pid, 0, 0) == -1)
		return 0;
	assert_int_equal(waitpid(t.pid, &st, 0), t.pid);
	assert_true(WIFSTOPPED(st));
	return 1;
}

/*
 * Kill one that is held, and has work, when it has begun or ended its `n'th
 * system call from now, or when it has done all `todo' and told so.
 */
static inline void
kill_after(unsigned int n, uint16_t todo)
{
	unsigned int i, told = 0;
	int st;

	alarm(PATIENCE / 1000);
	for (i = 0; i < n && told < 3; i++) {
		assert_int_equal(ptrace(PTRACE_SYSCALL, t.pid, 0, 0), 0);
		assert_int_equal(waitpid(t.pid, &st, 0), t.pid);
		assert_true(WIFSTOPPED(st));
		told += used() >= todo;
	}
	alarm(0);
	bury();
}

#endif
