/*
 * What the tests of disks share: this program plays the parent, and starts
 * itself again as opener and as image.
 */

#include "regress/unit/disks_fake.h"

#include <endian.h>
#include <event2/event.h>
#include <signal.h>

#include "lib/disk/qcow2_hdr.h"
#include "lib/util/log.h"
#include "vmd/parent/helper.h"
#include "vmd/parent/image.h"
#include "vmd/parent/net.h"
#include "vmd/parent/raws.h"
#include "vmd/roles.h"

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

struct parent parent;
static struct parent_args args;
char dir[] = "/tmp/disks_test.XXXXXX";
struct cred joe = { JOE, JOE, NULL, 0 };
char text[2048];
int ended;
static int denials;
int statedir;

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

size_t
vm_net_queues(const struct vm *v)
{
	return 0;
}

void
vm_net_start(struct vm *v)
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

const char *
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

void
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
void
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

struct vm *
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

void
forget(struct vm *v)
{
	vm_disks_cancel(v);
	open_cancel(v->opening);
	image_lock_over(&v->retry);
	TAILQ_REMOVE(&parent.vms, v, entry);
	fdlist_close(&v->fds);
	vm_spec_free(v->spec);
	vm_spec_free(v->run);
	free(v);
}

struct disk_spec *
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
const char *
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
const char *
start_one(const char *name, uid_t uid)
{
	struct vm *v = vm("one", uid);

	add(v, name);
	start(v);
	forget(v);
	return text;
}

/* "disk N DIR/NAME: WHY". */
void
says(const char *name, const char *why)
{
	char want[1024];

	snprintf(want, sizeof(want), "disk 0 %s: %s (vm.conf:3)", in(name),
	    why);
	assert_string_equal(text, want);
}

/* 1: somebody else could not lock it so. */
int
locked(const char *name, int exclusive)
{
	struct flock fl = { .l_type = exclusive ? F_WRLCK : F_RDLCK };
	int fd = open(in(name), O_RDWR | O_CLOEXEC), rc;

	assert_int_not_equal(fd, -1);
	rc = fcntl(fd, F_OFD_SETLK, &fl);
	close(fd);
	return rc == -1;
}

int
fd_flags(const struct vm *v, enum fd_kind kind, unsigned int idx,
    unsigned int sub)
{
	int fd = fdlist_get(&v->fds, kind, idx, sub);

	assert_int_not_equal(fd, -1);
	return fcntl(fd, F_GETFL);
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
	raw("kernel", 0, 0644);
	if (mkdir(in("sub"), 0755) == -1 || mkdir(in("home"), 0755) == -1 ||
	    chown(in("home"), JOE, JOE) == -1)
		return -1;
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
disks_main(int argc, char **argv, const struct CMUnitTest *tests, size_t n)
{
	struct proc_args a = { .role = "opener" };

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
	return _cmocka_run_group_tests("disks", tests, n, setup, teardown);
}
