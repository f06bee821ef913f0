/* Disks in the parent: what it sends down, keeps, and hears of images. */

#include <sys/mman.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>

#include "regress/unit/parent_fake.h"

static char disk_path[] = "/tmp/parent_disk.XXXXXX";
static char cdrom_path[] = "/tmp/parent_cdrom.XXXXXX";

/* 1: somebody else could not lock it so. */
static int
locked(const char *path, int exclusive)
{
	struct flock fl = { .l_type = exclusive ? F_WRLCK : F_RDLCK };
	int fd, rc;

	/* The processes that stand for helpers have our descriptors too. */
	until(&helpers_reaped, helpers);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_not_equal(fd, -1);
	rc = fcntl(fd, F_OFD_SETLK, &fl);
	close(fd);
	return rc == -1;
}

static struct vm *
give_disk(const char *name, enum disk_format format)
{
	struct vm *v = vm_find(&parent, name);
	struct disk_spec *d = &v->spec->disks[v->spec->ndisks++];

	d->path = strdup(disk_path);
	d->format = format;
	return v;
}

static const char *
fails(const char *name)
{
	/* Those that stand for helpers keep locks until they are gone. */
	until(&helpers_reaped, helpers);
	clear(&control);
	send_start(1, name);
	until_got(&control, IMSG_VMDOP_START_VM_RESPONSE);
	assert_int_not_equal(control.res.err, VMERR_OK);
	assert_int_equal(vm_find(&parent, name)->state, VMS_STOPPED);
	return control.res.text;
}

static int
same_as(const char *path, unsigned int kind)
{
	struct stat a, b;
	int fd = fdlist_get(&vmm.fds, kind, 0, 0);

	return fd != -1 && fstat(fd, &a) == 0 && stat(path, &b) == 0 &&
	    a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

/* As start_vm(), with what is in the request. */
static void
start_with_disk(void)
{
	clear(&vmm);
	clear(&control);
	send_start(100, "web1");
	until_got(&vmm, IMSG_VMDOP_START_VM_REQUEST);
	say_started();
	until_got(&control, IMSG_VMDOP_START_VM_RESPONSE);
	assert_int_equal(control.res.err, VMERR_OK);
}

static void
sent_down(void **state)
{
	struct vm *v = give_disk("web1", DISK_AUTO);

	v->spec->cdrom = strdup(cdrom_path);
	start_with_disk();
	assert_int_equal(vmm.nfds, 5);
	assert_true(same_as(disk_path, FD_DISK));
	assert_true(same_as(cdrom_path, FD_CDROM));
	assert_int_equal(vmm.spec->ndisks, 1);
	assert_int_equal(vmm.spec->disks[0].format, DISK_RAW);
	assert_int_equal(vmm.spec->disks[0].layers, 1);
	assert_int_equal(vmm.spec->disks[0].qcow2, 0);
	/* The definition does not change by it. */
	assert_int_equal(v->spec->disks[0].format, DISK_AUTO);
	assert_int_equal(v->spec->disks[0].layers, 0);
	fdlist_close(&vmm.fds);
	assert_true(locked(disk_path, 0));
	assert_true(locked(cdrom_path, 1));
	assert_false(locked(cdrom_path, 0));
	say_ended("web1", v->generation, VMEXIT_POWEROFF);
	settle_all();
	assert_false(locked(disk_path, 1));
	assert_false(locked(cdrom_path, 1));
}

/* A guest that resets has the same files, never closed in between. */
static void
reset_keeps(void **state)
{
	struct vm *v = give_disk("web1", DISK_AUTO);
	unsigned int before;
	int fd;

	start_with_disk();
	fd = fdlist_get(&v->fds, FD_DISK, 0, 0);
	before = helpers;
	fdlist_close(&vmm.fds);
	clear(&vmm);
	/* Also not read again: it would be refused. */
	image_mood = IMAGE_NONSENSE;
	say_ended("web1", v->generation, VMEXIT_RESET);
	until_got(&vmm, IMSG_VMDOP_START_VM_REQUEST);
	assert_int_equal(helpers, before);
	assert_int_equal(fdlist_get(&v->fds, FD_DISK, 0, 0), fd);
	assert_true(same_as(disk_path, FD_DISK));
	assert_int_equal(vmm.spec->disks[0].layers, 1);
	assert_true(locked(disk_path, 0));
}

/* Nor is it given away while a restart waits. */
static void
restart_keeps(void **state)
{
	struct vm *v = give_disk("web1", DISK_AUTO);

	v->spec->restart = RESTART_ON_FAILURE;
	start_with_disk();
	fdlist_close(&vmm.fds);
	clear(&vmm);
	say_ended("web1", v->generation, VMEXIT_SIGNAL);
	settle_all();
	assert_int_equal(v->state, VMS_WAITING);
	assert_true(locked(disk_path, 0));
	assert_int_equal(v->fds.n, 1);
	image_mood = IMAGE_NONSENSE;
	until_got(&vmm, IMSG_VMDOP_START_VM_REQUEST);
	assert_true(same_as(disk_path, FD_DISK));
	assert_int_equal(vmm.spec->disks[0].layers, 1);
	say_started();
	fdlist_close(&vmm.fds);
	/* Called off while it waits: nothing is left. */
	clear(&vmm);
	say_ended("web1", v->generation, VMEXIT_SIGNAL);
	settle_all();
	assert_int_equal(v->state, VMS_WAITING);
	send_id(IMSG_VMDOP_TERMINATE_VM_REQUEST, 3, "web1", 0, 0);
	until_got(&control, IMSG_VMDOP_TERMINATE_VM_RESPONSE);
	assert_int_equal(v->state, VMS_STOPPED);
	assert_false(locked(disk_path, 1));
}

static void
one_writer(void **state)
{
	char want[256];

	conf_apply(&parent, conf_of("web1", "db", NULL));
	give_disk("web1", DISK_AUTO);
	give_disk("db", DISK_RAW);
	start_with_disk();
	snprintf(want, sizeof(want), "disk 0 %s: locked by vm web1", disk_path);
	assert_string_equal(fails("db"), want);
	say_ended("web1", vm_find(&parent, "web1")->generation,
	    VMEXIT_POWEROFF);
	settle_all();
	fdlist_close(&vmm.fds);
	assert_false(locked(disk_path, 1));
	clear(&vmm);
	send_start(2, "db");
	until_got(&vmm, IMSG_VMDOP_START_VM_REQUEST);
	assert_string_equal(vmm.spec->name, "db");
}

/* Whatever an image does, it ends one start and nothing else. */
static void
hostile_image(void **state)
{
	static const enum image_mood moods[] = { IMAGE_DIES, IMAGE_NONSENSE,
		IMAGE_WRONG_TYPE, IMAGE_FILE };
	char want[256], base[] = "base", error[] = "is strange";
	struct vm *v;
	size_t i;

	give_disk("web1", DISK_AUTO);
	for (i = 0; i < sizeof(moods) / sizeof(moods[0]); i++) {
		image_mood = moods[i];
		snprintf(want, sizeof(want),
		    "disk 0 %s: the process reading it died", disk_path);
		assert_string_equal(fails("web1"), want);
		assert_false(locked(disk_path, 1));
	}
	image_mood = IMAGE_ANSWERS;
	image_says = (struct image_info){ .error = error };
	snprintf(want, sizeof(want), "disk 0 %s: is strange", disk_path);
	assert_string_equal(fails("web1"), want);
	/* Each name leads to a file that says it has a backing file. */
	image_says = (struct image_info){ DISK_QCOW2, 512, base, DISK_QCOW2,
		NULL };
	assert_non_null(strstr(fails("web1"), "/tmp/base: "));
	/* Not what was asked for. */
	v = vm_find(&parent, "web1");
	v->spec->disks[0].format = DISK_QCOW2;
	image_says = (struct image_info){ DISK_RAW, 512, NULL, DISK_AUTO,
		NULL };
	assert_non_null(strstr(fails("web1"), "not of its declared format"));
	image_says = (struct image_info){ DISK_QCOW2, 0, NULL, DISK_AUTO,
		NULL };
	assert_non_null(strstr(fails("web1"), "the disk is empty"));
	/* One answer is an answer. */
	image_says.size = 512;
	image_mood = IMAGE_TWICE;
	until(&helpers_reaped, helpers);
	start_with_disk();
	assert_int_equal(vmm.spec->disks[0].qcow2, 1);
}

/* A start that hangs there can be called off. */
static void
mute_image(void **state)
{
	struct vm *v = give_disk("web1", DISK_AUTO);
	unsigned int before = helpers;

	image_mood = IMAGE_MUTE;
	send_start(1, "web1");
	until(&helpers, before + 2);
	assert_int_equal(v->state, VMS_STARTING);
	send_id(IMSG_VMDOP_TERMINATE_VM_REQUEST, 3, "web1", 0, 0);
	until_got(&control, IMSG_VMDOP_START_VM_RESPONSE);
	assert_string_equal(control.res.text, "stopped while starting");
	assert_int_equal(v->state, VMS_STOPPED);
	assert_false(locked(disk_path, 1));
}

/* --- what a client names ------------------------------------------------- */

static void
send_disk(const char *boot, const char *path, const char *cdrom)
{
	struct vm_spec *s = vm_spec_new("mine");
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);

	s->given = VMGIVEN_BOOT | VMGIVEN_DISKS | VMGIVEN_CDROM;
	s->boot = strdup(boot);
	s->cdrom = strdup(cdrom);
	s->flags = VMF_OVERCOMMIT;
	s->ndisks = 1;
	s->disks[0].path = strdup(path);
	s->disks[0].layers = 1; /* is not for a client to say */
	s->disks[0].qcow2 = 1;
	assert_int_equal(vm_spec_put(b, s), 0);
	clear(&control);
	clear(&vmm);
	send_body(&control, IMSG_VMDOP_START_VM_REQUEST, 8, b, NULL, 0);
	vm_spec_free(s);
}

static void
from_a_client(void **state)
{
	send_disk("/kernel", disk_path, cdrom_path);
	until_got(&vmm, IMSG_VMDOP_START_VM_REQUEST);
	assert_true(same_as(disk_path, FD_DISK));
	assert_true(same_as(cdrom_path, FD_CDROM));
	assert_int_equal(vmm.spec->disks[0].layers, 1);
	assert_int_equal(vmm.spec->disks[0].qcow2, 0);
	assert_true(locked(disk_path, 0));
}

static void
relative_from_a_client(void **state)
{
	static const char *const files[][3] = {
		{ "kernel", disk_path, cdrom_path },
		{ "/kernel", "relative", cdrom_path },
		{ "/kernel", disk_path, "" },
	};
	size_t i;

	for (i = 0; i < 3; i++) {
		send_disk(files[i][0], files[i][1], files[i][2]);
		until_got(&control, IMSG_VMDOP_START_VM_RESPONSE);
		assert_int_equal(control.res.err, VMERR_INVALID);
		assert_string_equal(control.res.text,
		    "the path of a file is not absolute");
		assert_null(vm_find(&parent, "mine"));
	}
}

static int
setup_files(void **state)
{
	char zero[4096] = { 0 };
	int a = mkstemp(disk_path), b = mkstemp(cdrom_path);

	if (a == -1 || b == -1 || write(a, zero, sizeof(zero)) == -1 ||
	    write(b, zero, sizeof(zero)) == -1)
		return -1;
	close(a);
	close(b);
	return 0;
}

static int
teardown_files(void **state)
{
	unlink(disk_path);
	unlink(cdrom_path);
	return 0;
}

static int
begin(void **state)
{
	image_mood = IMAGE_ANSWERS;
	image_says = (struct image_info){ DISK_RAW, 4096, NULL, DISK_AUTO,
		NULL };
	return setup(state);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sent_down),
		TEST(reset_keeps),
		TEST(restart_keeps),
		TEST(one_writer),
		TEST(hostile_image),
		TEST(mute_image),
		TEST(from_a_client),
		TEST(relative_from_a_client),
	};

	if (getuid() != 0) {
		printf("1..0 # SKIP needs root\n");
		return 0;
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup_files, teardown_files);
}
