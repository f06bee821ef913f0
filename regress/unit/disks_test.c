/*
 * Disks and CD-ROMs from their names to descriptors: this program plays the
 * parent, and starts itself again as opener and as image.
 */

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <endian.h>
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

#include "lib/disk/qcow2_hdr.h"
#include "lib/util/log.h"
#include "vmd/parent/files.h"
#include "vmd/parent/helper.h"
#include "vmd/parent/image.h"
#include "vmd/parent/opener.h"
#include "vmd/parent/parent.h"

#define JOE	 12345
#define PATIENCE 60 /* seconds */

int
procs_add(struct parent *p, const char *name, enum proc_kind kind, pid_t pid,
    uint32_t own)
{
	return 0;
}

void
procs_del(struct parent *p, pid_t pid)
{
}

static struct parent parent;
static struct parent_args args;
static char dir[] = "/tmp/disks_test.XXXXXX";
static struct cred joe = { JOE, JOE, NULL, 0 };
static char text[2048]; /* why a start failed, "" if it did not */
static int ended;
static int denials;
static int statedir;

/* AddressSanitizer asks for the signal stack before _exit(2); not we. */
static void
on_log(void *arg, int prio, const char *line)
{
	if (strstr(line, "denied") == NULL || strstr(line, "call 131") ||
	    strstr(line, "sigaltstack"))
		return;
	denials++;
	print_message("# %s\n", line);
}

/* --- what the parent would do next -------------------------------------- */

void
vm_launch(struct vm *v)
{
	ended = 1;
	text[0] = '\0';
}

void
vm_start_failed(struct vm *v, enum vmerr e, const char *fmt, ...)
{
	va_list ap;

	ended = 1;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	vm_close_files(v);
}

const char *
vm_where(const struct vm *v)
{
	return v->spec->file == NULL ? "" : " (vm.conf:3)";
}

/* --- files --------------------------------------------------------------- */

static const char *
in(const char *name)
{
	static char path[4][512];
	static int i;

	i = (i + 1) % 4;
	snprintf(path[i], sizeof(path[i]), "%s/%s", dir, name);
	return path[i];
}

static void
make(const char *name, uid_t uid, mode_t mode, const void *data, size_t len)
{
	int fd = open(in(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_not_equal(fd, -1);
	assert_int_equal(pwrite(fd, data, len, 0), len);
	assert_int_equal(ftruncate(fd, 0x60000), 0);
	assert_int_equal(fchown(fd, uid, uid), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void
raw(const char *name, uid_t uid, mode_t mode)
{
	make(name, uid, mode, "data", 4);
}

static void
put(uint8_t *p, unsigned int width, uint64_t v)
{
	uint64_t b = htobe64(v);

	memcpy(p, (uint8_t *)&b + 8 - width, width);
}

/* A qcow2 image; `backing' and `format' may be NULL. */
static void
qcow2(const char *name, uid_t uid, mode_t mode, const char *backing,
    const char *format)
{
	uint8_t h[0x1000] = { 0 };

	put(h, 4, QCOW2_MAGIC);
	put(h + 4, 4, 3);
	put(h + 20, 4, 16);
	put(h + 24, 8, 1ULL << 30);
	put(h + 36, 4, 2);
	put(h + 40, 8, 0x30000);
	put(h + 48, 8, 0x10000);
	put(h + 56, 4, 1);
	put(h + 96, 4, 4);
	put(h + 100, 4, 104);
	if (format != NULL) {
		put(h + 104, 4, 0xe2792acaU);
		put(h + 108, 4, strlen(format));
		memcpy(h + 112, format, strlen(format));
	}
	if (backing != NULL) {
		put(h + 8, 8, 0x200);
		put(h + 16, 4, strlen(backing));
		memcpy(h + 0x200, backing, strlen(backing));
	}
	make(name, uid, mode, h, sizeof(h));
}

/* --- a VM and its start -------------------------------------------------- */

static struct vm *
vm(const char *name, uid_t uid)
{
	struct vm *v = calloc(1, sizeof(*v));

	assert_non_null(v);
	v->parent = &parent;
	v->spec = vm_spec_new(name);
	v->spec->uid = uid;
	v->spec->file = strdup("vm.conf");
	v->run = vm_spec_copy(v->spec);
	v->run->boot = strdup(in("kernel"));
	TAILQ_INSERT_TAIL(&parent.vms, v, entry);
	return v;
}

static void
forget(struct vm *v)
{
	vm_disks_cancel(v);
	open_cancel(v->opening);
	TAILQ_REMOVE(&parent.vms, v, entry);
	fdlist_close(&v->fds);
	vm_spec_free(v->spec);
	vm_spec_free(v->run);
	free(v);
}

static struct disk_spec *
add(struct vm *v, const char *name)
{
	struct disk_spec *d = &v->run->disks[v->run->ndisks++];

	d->path = strdup(name[0] == '/' ? name : in(name));
	return d;
}

static void
late(int fd, short ev, void *arg)
{
	ended = -1;
}

/* "" or why it did not start. */
static const char *
start(struct vm *v)
{
	const struct timeval tv = { .tv_sec = PATIENCE };
	struct event *timer = evtimer_new(parent.base, late, NULL);

	evtimer_add(timer, &tv);
	ended = 0;
	v->open_step = 0;
	vm_open_files(v);
	while (!ended)
		event_base_loop(parent.base, EVLOOP_ONCE);
	event_free(timer);
	assert_int_equal(ended, 1);
	assert_null(v->chain);
	assert_null(v->opening);
	/* Let the processes be reaped. */
	event_base_dispatch(parent.base);
	assert_int_equal(denials, 0);
	return text;
}

/* A root's VM with one disk. */
static const char *
start_one(const char *name, uid_t uid)
{
	struct vm *v = vm("one", uid);

	add(v, name);
	start(v);
	forget(v);
	return text;
}

/* "disk N DIR/NAME: WHY". */
static void
says(const char *name, const char *why)
{
	char want[1024];

	snprintf(want, sizeof(want), "disk 0 %s: %s (vm.conf:3)", in(name),
	    why);
	assert_string_equal(text, want);
}

/* 1: somebody else could not lock it so. */
static int
locked(const char *name, int exclusive)
{
	struct flock fl = { .l_type = exclusive ? F_WRLCK : F_RDLCK };
	int fd = open(in(name), O_RDWR | O_CLOEXEC), rc;

	assert_int_not_equal(fd, -1);
	rc = fcntl(fd, F_OFD_SETLK, &fl);
	close(fd);
	return rc == -1;
}

static int
fd_flags(const struct vm *v, enum fd_kind kind, unsigned int idx,
    unsigned int sub)
{
	int fd = fdlist_get(&v->fds, kind, idx, sub);

	assert_int_not_equal(fd, -1);
	return fcntl(fd, F_GETFL);
}

/* --- tests ---------------------------------------------------------------- */

static void
plain(void **state)
{
	struct vm *v = vm("plain", 0);
	struct disk_spec *d = add(v, "a.raw");
	int flags;

	raw("a.raw", 0, 0600);
	assert_string_equal(start(v), "");
	assert_int_equal(d->format, DISK_RAW);
	assert_int_equal(d->layers, 1);
	assert_int_equal(d->qcow2, 0);
	flags = fd_flags(v, FD_DISK, 0, 0);
	assert_int_equal(flags & O_ACCMODE, O_RDWR);
	assert_int_equal(flags & O_NONBLOCK, 0);
	assert_true(locked("a.raw", 0));
	/* A duplicate keeps the lock. */
	flags = fcntl(fdlist_get(&v->fds, FD_DISK, 0, 0), F_DUPFD_CLOEXEC, 3);
	forget(v);
	assert_true(locked("a.raw", 0));
	close(flags);
	assert_false(locked("a.raw", 1));
}

static void
readonly(void **state)
{
	struct vm *v = vm("a", 0), *w = vm("b", 0);

	add(v, "a.raw")->flags = DISKF_READONLY;
	add(w, "a.raw")->flags = DISKF_READONLY;
	assert_string_equal(start(v), "");
	assert_int_equal(fd_flags(v, FD_DISK, 0, 0) & O_ACCMODE, O_RDONLY);
	assert_string_equal(start(w), "");
	assert_true(locked("a.raw", 1));
	assert_false(locked("a.raw", 0));
	start_one("a.raw", 0);
	says("a.raw", "locked by vm a");
	forget(v);
	start_one("a.raw", 0);
	says("a.raw", "locked by vm b");
	forget(w);
}

static void
chain(void **state)
{
	struct vm *v = vm("chain", 0);
	struct disk_spec *d = add(v, "top.q");

	assert_int_equal(mkdir(in("sub"), 0755), 0);
	qcow2("top.q", 0, 0600, "sub/mid.q", "qcow2");
	qcow2("sub/mid.q", 0, 0600, "../base.raw", "raw");
	raw("base.raw", 0, 0600);
	assert_string_equal(start(v), "");
	assert_int_equal(d->format, DISK_QCOW2);
	assert_int_equal(d->layers, 3);
	assert_int_equal(d->qcow2, 0x3);
	assert_int_equal(fd_flags(v, FD_DISK, 0, 0) & O_ACCMODE, O_RDWR);
	assert_int_equal(fd_flags(v, FD_DISK, 0, 1) & O_ACCMODE, O_RDONLY);
	assert_int_equal(fd_flags(v, FD_DISK, 0, 2) & O_ACCMODE, O_RDONLY);
	assert_true(locked("top.q", 0));
	assert_true(locked("sub/mid.q", 1));
	assert_false(locked("base.raw", 0));
	/* A base cannot be written by anybody meanwhile. */
	start_one("base.raw", 0);
	says("base.raw", "locked by vm chain");
	/* Nothing is opened or probed again after a reset. */
	raw("top.q", 0, 0600);
	assert_string_equal(start(v), "");
	assert_int_equal(d->layers, 3);
	assert_int_equal(v->fds.n, 4);
	forget(v);
}

static void
deep(void **state)
{
	char name[16], below[16];
	struct vm *v;
	int i;

	for (i = 0; i < VM_MAX_LAYERS; i++) {
		snprintf(name, sizeof(name), "d%d", i);
		snprintf(below, sizeof(below), "d%d", i + 1);
		qcow2(name, 0, 0600, i == VM_MAX_LAYERS - 1 ? NULL : below,
		    NULL);
	}
	v = vm("deep", 0);
	add(v, "d0");
	assert_string_equal(start(v), "");
	assert_int_equal(v->run->disks[0].layers, VM_MAX_LAYERS);
	forget(v);
	qcow2("above", 0, 0600, "d0", NULL);
	start_one("above", 0);
	assert_non_null(strstr(text, "d14: too many backing files"));
}

static void
circles(void **state)
{
	char want[256];

	qcow2("c0", 0, 0600, "c1", NULL);
	qcow2("c1", 0, 0600, "c0", NULL);
	start_one("c0", 0);
	snprintf(want, sizeof(want),
	    "backing file %s: is above itself in the chain", in("c0"));
	says("c0", want);
	/* By another name. */
	assert_int_equal(link(in("c0"), in("c2")), 0);
	qcow2("c1", 0, 0600, "c2", NULL);
	start_one("c0", 0);
	snprintf(want, sizeof(want),
	    "backing file %s: is above itself in the chain", in("c2"));
	says("c0", want);
}

static void
formats(void **state)
{
	struct vm *v = vm("f", 0);
	struct disk_spec *d = add(v, "f.q");
	char want[256];

	/* Raw by configuration, whatever is in it. */
	qcow2("f.q", 0, 0600, "/etc/shadow", "raw");
	d->format = DISK_RAW;
	assert_string_equal(start(v), "");
	assert_int_equal(d->layers, 1);
	assert_int_equal(d->qcow2, 0);
	forget(v);
	v = vm("f", 0);
	add(v, "a.raw")->format = DISK_QCOW2;
	start(v);
	says("a.raw", "not a qcow2 image");
	forget(v);
	/* What is below a header must say what it is. */
	qcow2("g.q", 0, 0600, "base.raw", NULL);
	start_one("g.q", 0);
	snprintf(want, sizeof(want),
	    "backing file %s: raw, but the image above does not declare it so",
	    in("base.raw"));
	says("g.q", want);
	qcow2("g.q", 0, 0600, "base.raw", "qcow2");
	start_one("g.q", 0);
	snprintf(want, sizeof(want), "backing file %s: not a qcow2 image",
	    in("base.raw"));
	says("g.q", want);
	qcow2("g.q", 0, 0600, "base.raw", "vmdk");
	start_one("g.q", 0);
	assert_non_null(strstr(text, "vmdk"));
}

static int
qemu_img(const char *fmt, ...)
{
	char cmd[1024];
	int n = snprintf(cmd, sizeof(cmd), "cd %s && qemu-img ", dir);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd + n, sizeof(cmd) - (size_t)n, fmt, ap);
	va_end(ap);
	return system(cmd);
}

/* What the usual tool makes, and its locks. */
static void
made_by_qemu_img(void **state)
{
	struct vm *v = vm("q", 0);
	struct disk_spec *d = add(v, "q2");

	if (system("qemu-img --version >/dev/null 2>&1") != 0)
		skip();
	assert_int_equal(qemu_img("create -q -f raw q0 1M"), 0);
	assert_int_equal(qemu_img("create -q -f qcow2 -b q0 -F raw q1"), 0);
	assert_int_equal(qemu_img("create -q -f qcow2 -o compat=0.10 "
				  "-b q1 -F qcow2 q2"),
	    0);
	assert_string_equal(start(v), "");
	assert_int_equal(d->layers, 3);
	assert_int_equal(d->qcow2, 0x3);
	/* Nobody writes to it meanwhile, or to what is below. */
	assert_int_not_equal(qemu_img("resize -q q2 2M 2>/dev/null"), 0);
	assert_int_not_equal(qemu_img("resize -q -f raw q0 2M 2>/dev/null"), 0);
	forget(v);
	assert_int_equal(qemu_img("snapshot -c one q2"), 0);
	start_one("q2", 0);
	assert_non_null(strstr(text, "snapshots"));
	v = vm("q", 0);
	add(v, "q2")->flags = DISKF_READONLY;
	assert_string_equal(start(v), "");
	forget(v);
	assert_int_equal(qemu_img("create -q -f qcow2 --object "
				  "secret,id=s,data=x -o encrypt.format=aes,"
				  "encrypt.key-secret=s q3 1M"),
	    0);
	start_one("q3", 0);
	assert_non_null(strstr(text, "encrypt"));
}

/* What a guest writes to its raw disk never makes it another. */
static void
once_raw(void **state)
{
	static const char why[] = "was a raw disk before and looks like qcow2 "
				  "now: its format must be given";
	struct vm *v;

	raw("guest", 0, 0600);
	assert_string_equal(start_one("guest", 0), "");
	qcow2("guest", 0, 0600, "/etc/shadow", "raw");
	start_one("guest", 0);
	says("guest", why);
	/* Nor after a restart of the daemon, nor below another. */
	raws_free(parent.raws);
	assert_non_null(parent.raws = raws_load(statedir));
	start_one("guest", 0);
	says("guest", why);
	qcow2("over", 0, 0600, "guest", NULL);
	start_one("over", 0);
	assert_non_null(strstr(text, why));
	/* Who says what it is has it so. */
	v = vm("one", 0);
	add(v, "guest")->format = DISK_RAW;
	assert_string_equal(start(v), "");
	assert_int_equal(v->run->disks[0].layers, 1);
	forget(v);
	v = vm("one", 0);
	add(v, "guest")->format = DISK_QCOW2;
	start(v);
	forget(v);
	assert_null(strstr(text, why));
}

/* Names in headers reach what the owner could reach, not what root could. */
static void
owners(void **state)
{
	char want[256];
	struct vm *v;

	raw("secret", 0, 0600);
	raw("joes.raw", JOE, 0600);
	assert_int_equal(mkdir(in("home"), 0755), 0);
	assert_int_equal(chown(in("home"), JOE, JOE), 0);
	qcow2("home/j.q", JOE, 0600, "../secret", "raw");
	start_one("home/j.q", JOE);
	snprintf(want, sizeof(want), "backing file %s/../secret: %s",
	    in("home"), strerror(EACCES));
	says("home/j.q", want);
	/* Also below an image that is root's alone. */
	qcow2("roots.q", 0, 0600, "secret", "raw");
	start_one("roots.q", JOE);
	snprintf(want, sizeof(want), "backing file %s: %s", in("secret"),
	    strerror(EACCES));
	says("roots.q", want);
	qcow2("home/j.q", JOE, 0600, "../joes.raw", "raw");
	assert_string_equal(start_one("home/j.q", JOE), "");
	/* A link of joe's to a file of root's. */
	assert_int_equal(symlink(in("secret"), in("home/link")), 0);
	start_one("home/link", JOE);
	says("home/link", strerror(EACCES));
	/* Root's VM takes nothing that joe can exchange. */
	start_one("home/j.q", 0);
	says("home/j.q", "home does not belong to root");
	/* A client's own image, and what it names. */
	v = vm("client", 0);
	v->given = VMGIVEN_DISKS;
	v->cred = &joe;
	add(v, "roots.q");
	start(v);
	snprintf(want, sizeof(want), "disk 0 %s: %s", in("roots.q"),
	    strerror(EACCES));
	assert_string_equal(text, want);
	forget(v);
}

static void
hostile_names(void **state)
{
	static const char *const names[] = { "/proc/self/mem", "/dev/null",
		"/dev/zero", ".", "..", "/", "no\nsuch\nfile", "json:{}",
		"nbd://host/x", "/proc/self/fd/3", "fifo", "sock" };
	char longest[IMAGE_BACKING_MAX + 1];
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	size_t i;
	int s;

	assert_int_equal(mkfifo(in("fifo"), 0644), 0);
	s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", in("sock"));
	assert_int_equal(bind(s, (struct sockaddr *)&sun, sizeof(sun)), 0);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		qcow2("h.q", 0, 0600, names[i], "raw");
		start_one("h.q", 0);
		assert_string_not_equal(text, "");
		assert_null(strchr(text, '\n'));
		assert_non_null(strstr(text, "backing file"));
	}
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	qcow2("h.q", 0, 0600, longest, "raw");
	start_one("h.q", 0);
	assert_non_null(strstr(text, strerror(ENAMETOOLONG)));
	close(s);
}

static void
no_files(void **state)
{
	start_one("missing", 0);
	says("missing", strerror(ENOENT));
	start_one("sub", 0);
	says("sub", strerror(EISDIR));
	start_one("fifo", 0);
	says("fifo", "not a regular file or block device");
	start_one("sock", 0);
	says("sock", "not a regular file or block device");
	start_one("/dev/null", 0);
	assert_string_equal(text,
	    "disk 0 /dev/null: not a regular file or block device "
	    "(vm.conf:3)");
	assert_int_equal(mkfifo(in("home/fifo"), 0600), 0);
	assert_int_equal(chown(in("home/fifo"), JOE, JOE), 0);
	start_one("home/fifo", JOE);
	says("home/fifo", "is a FIFO");
	raw("empty", 0, 0600);
	assert_int_equal(truncate(in("empty"), 0), 0);
	start_one("empty", 0);
	says("empty", "is empty");
	assert_int_equal(truncate(in("empty"), 511), 0);
	start_one("empty", 0);
	says("empty", "shorter than a sector");
	raw("ro", JOE, 0400);
	start_one("ro", JOE);
	says("ro", strerror(EACCES));
}

static void
block_devices(void **state)
{
	struct vm *v = vm("blk", JOE);

	/* Type and owner are looked at before anything else. */
	if (access("/dev/loop0", F_OK) == 0) {
		add(v, "/dev/loop0");
		v->fds.n = 0;
		start(v);
		assert_non_null(strstr(text, "disk 0 /dev/loop0: "));
	}
	forget(v);
}

static void
twice(void **state)
{
	struct vm *v = vm("twice", 0);
	char want[256];

	add(v, "a.raw");
	add(v, "a.raw");
	start(v);
	snprintf(want, sizeof(want),
	    "disk 1 %s: used by another disk of this VM (vm.conf:3)",
	    in("a.raw"));
	assert_string_equal(text, want);
	/* The first one is there for another try, of the second nothing. */
	assert_int_equal(v->fds.n, 1);
	assert_int_equal(v->run->disks[0].layers, 1);
	assert_int_equal(v->run->disks[1].layers, 0);
	forget(v);
	assert_false(locked("a.raw", 1));
}

/* Nobody gets in between a run and its restart. */
static void
kept(void **state)
{
	struct vm *v = vm("kept", 0);
	struct vm_spec *next;
	int fd;

	qcow2("top.q", 0, 0600, "base.raw", "raw");
	add(v, "top.q");
	v->run->cdrom = strdup(in("cd.iso"));
	raw("cd.iso", 0, 0600);
	next = vm_spec_copy(v->run);
	assert_string_equal(start(v), "");
	vm_close_files(v);
	assert_int_equal(v->fds.n, 3);
	fd = fdlist_get(&v->fds, FD_DISK, 0, 1);
	vm_keep_disks(v, next);
	assert_int_equal(next->disks[0].layers, 2);
	assert_int_equal(next->disks[0].qcow2, 1);
	assert_int_equal(next->disks[0].format, DISK_QCOW2);
	vm_spec_free(v->run);
	v->run = next;
	assert_string_equal(start(v), "");
	assert_int_equal(fdlist_get(&v->fds, FD_DISK, 0, 1), fd);
	assert_true(locked("top.q", 0));
	/* Another definition has other disks. */
	next = vm_spec_copy(v->run);
	next->disks[0].flags = DISKF_READONLY;
	next->disks[0].layers = 0;
	vm_keep_disks(v, next);
	assert_int_equal(v->fds.n, 0);
	assert_int_equal(next->disks[0].layers, 0);
	vm_spec_free(next);
	forget(v);
}

static void
other_program(void **state)
{
	struct flock fl = { .l_type = F_RDLCK };
	int fd = open(in("a.raw"), O_RDWR | O_CLOEXEC);

	assert_int_equal(fcntl(fd, F_OFD_SETLK, &fl), 0);
	start_one("a.raw", 0);
	says("a.raw", "locked by another program");
	close(fd);
	assert_string_equal(start_one("a.raw", 0), "");
}

static void
let_go(int fd, short ev, void *arg)
{
	struct event **timer = arg;

	close(fd);
	event_free(*timer);
}

/* One that only looks at it does not keep a VM from starting. */
static void
for_a_moment(void **state)
{
	const struct timeval tv = { .tv_usec = 20000 };
	struct flock fl = { .l_type = F_RDLCK };
	int fd = open(in("a.raw"), O_RDWR | O_CLOEXEC);
	struct event *timer;

	assert_int_equal(fcntl(fd, F_OFD_SETLK, &fl), 0);
	timer = event_new(parent.base, fd, 0, let_go, &timer);
	event_add(timer, &tv);
	assert_string_equal(start_one("a.raw", 0), "");
}

static void
discs(void **state)
{
	struct vm *v = vm("cd", 0), *w = vm("cd2", 0);
	char want[256];

	raw("cd.iso", 0, 0600);
	v->run->cdrom = strdup(in("cd.iso"));
	w->run->cdrom = strdup(in("cd.iso"));
	assert_string_equal(start(v), "");
	assert_int_equal(fd_flags(v, FD_CDROM, 0, 0) & O_ACCMODE, O_RDONLY);
	assert_string_equal(start(w), "");
	start_one("cd.iso", 0);
	says("cd.iso", "locked by vm cd");
	forget(v);
	forget(w);
	v = vm("cd", 0);
	v->run->cdrom = strdup(in("sub"));
	start(v);
	snprintf(want, sizeof(want), "cdrom %s: Is a directory (vm.conf:3)",
	    in("sub"));
	assert_string_equal(text, want);
	forget(v);
}

/* Descriptors that a client has opened. */
static void
given(void **state)
{
	static const int bad[] = { O_WRONLY, O_RDONLY, O_PATH };
	struct vm *v;
	size_t i;
	int fd;

	for (i = 0; i < 3; i++) {
		v = vm("g", 0);
		v->given = VMGIVEN_DISKS;
		add(v, "a.raw");
		fd = open(in("a.raw"), bad[i] | O_CLOEXEC);
		assert_int_equal(fdlist_add(&v->fds, FD_DISK, 0, 0, &fd), 0);
		start(v);
		assert_non_null(strstr(text, "not open for "));
		forget(v);
	}
	v = vm("g", 0);
	v->given = VMGIVEN_DISKS;
	add(v, "a.raw");
	fd = open(in("a.raw"), O_RDWR | O_APPEND | O_NONBLOCK | O_CLOEXEC);
	assert_int_equal(fdlist_add(&v->fds, FD_DISK, 0, 0, &fd), 0);
	assert_string_equal(start(v), "");
	assert_int_equal(fd_flags(v, FD_DISK, 0, 0) & (O_APPEND | O_NONBLOCK),
	    0);
	assert_true(locked("a.raw", 0));
	forget(v);
}

/* 16 chains of 16 are too many for one message; the text counts them. */
static void
too_many(void **state)
{
	char name[32], below[32];
	struct vm *v = vm("many", 0);
	int i, n;

	for (n = 0; n < VM_MAX_DISKS; n++)
		for (i = 0; i < VM_MAX_LAYERS; i++) {
			snprintf(name, sizeof(name), "m%d.%d", n, i);
			snprintf(below, sizeof(below), "m%d.%d", n, i + 1);
			if (i == VM_MAX_LAYERS - 1)
				raw(name, 0, 0600);
			else
				qcow2(name, 0, 0600, below,
				    i == VM_MAX_LAYERS - 2 ? "raw" : NULL);
			if (i == 0)
				add(v, name);
		}
	start(v);
	assert_string_equal(text,
	    "too many files: 256 layers, 0 queues, limit 240 (vm.conf:3)");
	forget(v);
}

static void
cancelled(void **state)
{
	struct vm *v;
	int i;

	/* After so many turns of the loop. */
	for (i = 0; i < 12; i++) {
		v = vm("gone", 0);
		add(v, "top.q");
		qcow2("top.q", 0, 0600, "base.raw", "raw");
		ended = 0;
		vm_open_files(v);
		for (int n = 0; n < i && !ended; n++)
			event_base_loop(parent.base, EVLOOP_ONCE);
		forget(v);
		event_base_dispatch(parent.base);
		assert_false(locked("top.q", 1));
	}
}

static int
setup(void **state)
{
	signal(SIGPIPE, SIG_IGN);
	log_set_sink(on_log, NULL);
	args.exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	parent.args = &args;
	parent.base = event_base_new();
	TAILQ_INIT(&parent.vms);
	if (mkdtemp(dir) == NULL || chmod(dir, 0755) == -1)
		return -1;
	statedir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if ((parent.raws = raws_load(statedir)) == NULL)
		return -1;
	raw("kernel", 0, 0600);
	return parent.base == NULL || args.exe == -1 ? -1 : 0;
}

static int
teardown(void **state)
{
	char cmd[128];

	event_base_free(parent.base);
	raws_free(parent.raws);
	close(statedir);
	close(args.exe);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

int
main(int argc, char **argv)
{
	struct proc_args a = { .role = "opener" };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),
		cmocka_unit_test(readonly),
		cmocka_unit_test(chain),
		cmocka_unit_test(deep),
		cmocka_unit_test(circles),
		cmocka_unit_test(formats),
		cmocka_unit_test(made_by_qemu_img),
		cmocka_unit_test(once_raw),
		cmocka_unit_test(owners),
		cmocka_unit_test(hostile_names),
		cmocka_unit_test(no_files),
		cmocka_unit_test(block_devices),
		cmocka_unit_test(twice),
		cmocka_unit_test(kept),
		cmocka_unit_test(other_program),
		cmocka_unit_test(for_a_moment),
		cmocka_unit_test(discs),
		cmocka_unit_test(given),
		cmocka_unit_test(cancelled),
		cmocka_unit_test(too_many),
	};

	if (argc == 3 && strcmp(argv[1], "-P") == 0) {
		a.role = argv[2];
		return strcmp(argv[2], "image") == 0 ? image_main(&a) :
						       opener_main(&a);
	}
	if (getuid() != 0) {
		printf("1..0 # SKIP needs root\n");
		return 0;
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
