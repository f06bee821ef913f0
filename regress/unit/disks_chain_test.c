/*
 * Images and what is below them: formats, chains, whose names in headers are
 * followed how far, and starts that are called off.
 */

#include <sys/socket.h>
#include <sys/un.h>

#include <event2/event.h>

#include "lib/proto/imginfo.h"

#include "regress/unit/disks_fake.h"

static void
chain(void **state)
{
	struct vm *v = vm("chain", 0);
	struct disk_spec *d = add(v, "top.q");

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
	assert_non_null(strstr(text, "d14: more than 16 images are chained"));
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
	raw("a.raw", 0, 0600);
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

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chain),
		cmocka_unit_test(deep),
		cmocka_unit_test(circles),
		cmocka_unit_test(formats),
		cmocka_unit_test(made_by_qemu_img),
		cmocka_unit_test(once_raw),
		cmocka_unit_test(owners),
		cmocka_unit_test(hostile_names),
		cmocka_unit_test(cancelled),
		cmocka_unit_test(too_many),
	};

	return disks_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
