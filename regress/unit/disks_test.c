/*
 * Disks and CD-ROMs from their names to descriptors: what may be one, who
 * may have it, and who has it.
 */

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <event2/event.h>
#include <signal.h>

#include "regress/unit/disks_fake.h"

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
no_files(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", in("sock"));
	assert_int_equal(bind(s, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(mkfifo(in("fifo"), 0644), 0);
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
	close(s);
}

static void
block_devices(void **state)
{
	struct vm *v = vm("blk", JOE), *w = vm("roots", 0);
	char want[256];
	int fd;

	/* One that everybody may open, of any size or none. */
	if (mknod(in("blk"), S_IFBLK | 0666, makedev(7, 0)) == -1 ||
	    chmod(in("blk"), 0666) == -1 ||
	    (fd = open(in("blk"), O_RDWR | O_CLOEXEC)) == -1) {
		print_message("# no block device: %s\n", strerror(errno));
		forget(v);
		forget(w);
		skip();
		return;
	}
	add(v, "blk");
	start(v);
	snprintf(want, sizeof(want),
	    "disk 0 %s: a block device, which only VMs of root may have "
	    "(vm.conf:3)",
	    in("blk"));
	assert_string_equal(text, want);
	assert_int_equal(v->fds.n, 0);
	forget(v);
	chmod(in("blk"), 0600);
	add(w, "blk");
	start(w);
	assert_null(strstr(text, "block device"));
	if (lseek(fd, 0, SEEK_END) > 0)
		assert_string_equal(text, "");
	forget(w);
	close(fd);
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

	raw("base.raw", 0, 0600);
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
	struct flock fl = { .l_type = F_WRLCK };
	struct vm *v = vm("moment", 0);
	struct event *timer;
	int fd, i;

	add(v, "a.raw");
	v->run->cdrom = strdup(in("b.iso"));
	raw("b.iso", 0, 0600);
	for (i = 0; i < 2; i++) {
		fd = open(in(i == 0 ? "a.raw" : "b.iso"), O_RDWR | O_CLOEXEC);
		assert_int_equal(fcntl(fd, F_OFD_SETLK, &fl), 0);
		timer = event_new(parent.base, fd, 0, let_go, &timer);
		event_add(timer, &tv);
		assert_string_equal(start(v), "");
		assert_int_equal(v->fds.n, 3);
		vm_release_files(v);
		v->run->disks[0].layers = 0;
		assert_false(locked("b.iso", 1));
	}
	/* Not for ever; and given up when the VM goes. */
	fd = open(in("b.iso"), O_RDWR | O_CLOEXEC);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &fl), 0);
	start(v);
	assert_non_null(strstr(text, "b.iso: locked by another program"));
	assert_int_equal(v->fds.n, 0);
	ended = 0;
	v->open_step = 0;
	vm_open_files(v);
	while (v->retry.timer == NULL && !ended)
		event_base_loop(parent.base, EVLOOP_ONCE);
	assert_false(ended);
	forget(v);
	close(fd);
}

/* A program with pipes from and to us. */
static pid_t
spawn_qemu_io(const char *opt, const char *name, int *to, FILE **from)
{
	int a[2], b[2];
	pid_t pid;

	assert_int_equal(pipe2(a, O_CLOEXEC), 0);
	assert_int_equal(pipe2(b, O_CLOEXEC), 0);
	assert_int_not_equal(pid = fork(), -1);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(a[0], 0);
		dup2(b[1], 1);
		execlp("qemu-io", "qemu-io", opt, "-f", "raw", in(name), NULL);
		_exit(127);
	}
	close(a[0]);
	close(b[1]);
	*to = a[1];
	assert_non_null(*from = fdopen(b[0], "r"));
	return pid;
}

/* QEMU's locks are shared ones: a reader must ask who writes. */
static void
written_by_qemu(void **state)
{
	static const char *const opts[] = { "-n", "-r" };
	char line[256], want[256];
	struct vm *v;
	FILE *from;
	pid_t pid;
	int i, to;

	if (system("qemu-io --version >/dev/null 2>&1") != 0)
		skip();
	raw("qbase", 0, 0600);
	qcow2("qtop", 0, 0600, "qbase", "raw");
	for (i = 0; i < 2; i++) {
		pid = spawn_qemu_io(opts[i], "qbase", &to, &from);
		assert_int_equal(write(to, "read 0 512\n", 11), 11);
		while (fgets(line, sizeof(line), from) != NULL &&
		    strstr(line, "read 512/512") == NULL)
			;
		assert_false(feof(from));
		start_one("qtop", 0);
		snprintf(want, sizeof(want),
		    "backing file %s: locked by another program", in("qbase"));
		if (i == 0)
			says("qtop", want);
		else
			assert_string_equal(text, "");
		v = vm("q", 0);
		v->run->cdrom = strdup(in("qbase"));
		start(v);
		snprintf(want, sizeof(want),
		    "cdrom %s: locked by another program (vm.conf:3)",
		    in("qbase"));
		assert_string_equal(text, i == 0 ? want : "");
		forget(v);
		close(to);
		fclose(from);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
	assert_string_equal(start_one("qtop", 0), "");
	assert_false(locked("qbase", 1));
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

/* What a client names is opened with the rights of that client. */
static const char *
by_client(uint32_t given, const char *name, uint32_t flags)
{
	struct vm *v = vm("c", JOE);

	v->given = given;
	v->cred = &joe;
	if (given == VMGIVEN_DISKS)
		add(v, name)->flags = flags;
	else if (given == VMGIVEN_CDROM)
		v->run->cdrom = strdup(in(name));
	else {
		free(v->run->boot);
		v->run->boot = strdup(in(name));
	}
	start(v);
	forget(v);
	return text;
}

static void
named_by_a_client(void **state)
{
	static const struct {
		const char *name;
		const char *disk;  /* to write to */
		const char *other; /* to read from */
	} t[] = {
		{ "home/own", "", "" },
		{ "secret", "Permission denied", "Permission denied" },
		{ "home/to_secret", "Permission denied", "Permission denied" },
		{ "home/to_own", "", "" },
		{ "readable", "Permission denied", "" },
		{ "sub", "Is a directory", "is a directory" },
		{ "home/fifo", "is a FIFO", "is a FIFO" },
		{ "sub/../none", "No such file or directory",
		    "No such file or directory" },
	};
	char want[512];
	size_t i;

	raw("home/own", JOE, 0600);
	raw("secret", 0, 0600);
	raw("readable", 0, 0644);
	assert_int_equal(symlink("../secret", in("home/to_secret")), 0);
	assert_int_equal(symlink("own", in("home/to_own")), 0);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		by_client(VMGIVEN_DISKS, t[i].name, 0);
		snprintf(want, sizeof(want), "disk 0 %s: %s", in(t[i].name),
		    t[i].disk);
		assert_string_equal(text, t[i].disk[0] == '\0' ? "" : want);
		by_client(VMGIVEN_DISKS, t[i].name, DISKF_READONLY);
		snprintf(want, sizeof(want), "disk 0 %s: %s", in(t[i].name),
		    t[i].other);
		assert_string_equal(text, t[i].other[0] == '\0' ? "" : want);
		by_client(VMGIVEN_BOOT, t[i].name, 0);
		snprintf(want, sizeof(want), "boot %s: %s", in(t[i].name),
		    t[i].other);
		assert_string_equal(text, t[i].other[0] == '\0' ? "" : want);
		by_client(VMGIVEN_CDROM, t[i].name, 0);
		snprintf(want, sizeof(want), "cdrom %s: %s", in(t[i].name),
		    t[i].other);
		assert_string_equal(text, t[i].other[0] == '\0' ? "" : want);
	}
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),
		cmocka_unit_test(readonly),
		cmocka_unit_test(no_files),
		cmocka_unit_test(block_devices),
		cmocka_unit_test(twice),
		cmocka_unit_test(kept),
		cmocka_unit_test(other_program),
		cmocka_unit_test(for_a_moment),
		cmocka_unit_test(written_by_qemu),
		cmocka_unit_test(discs),
		cmocka_unit_test(named_by_a_client),
	};

	return disks_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
