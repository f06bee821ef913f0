/*
 * vmctl against a daemon that says what the test wants: exit statuses, usage,
 * and each command but those that show (vmctl_show_test.c) or open a console.
 */

#include <fcntl.h>

#include "regress/unit/vmctl_info.h"

/* Every request fails in the way that the name of the VM tells. */
static int
fails(struct request *r)
{
	struct vmop_result res = { 0 };
	struct vmop_id op;
	char text[] = "no \033way\nvery";

	if (vmop_id_get(r->body, &op) == -1)
		_exit(96);
	res.err = (uint32_t)atoi(op.name);
	res.text = res.err == VMERR_FAILED ? text : NULL;
	fake_result(r,
	    r->type == IMSG_VMDOP_PAUSE_VM ? IMSG_VMDOP_PAUSE_VM_RESPONSE : END,
	    &res, -1);
	vmop_id_fini(&op);
	return 0;
}

static void
statuses(void **state)
{
	static const int want[VMERR_MAX] = {
		[VMERR_FAILED] = 1,
		[VMERR_BADMSG] = 1,
		[VMERR_PERM] = 5,
		[VMERR_NOTFOUND] = 3,
		[VMERR_RUNNING] = 4,
		[VMERR_NOTRUNNING] = 4,
		[VMERR_STOPPING] = 4,
		[VMERR_PAUSED] = 4,
		[VMERR_NOTPAUSED] = 4,
		[VMERR_HELD] = 4,
		[VMERR_NOTHELD] = 4,
		[VMERR_INVALID] = 1,
		[VMERR_EXISTS] = 1,
		[VMERR_UNSUPPORTED] = 1,
		[VMERR_LIMIT] = 1,
		[VMERR_BUSY] = 1,
		[VMERR_BOOT_MISSING] = 1,
		[VMERR_DISK_MISSING] = 1,
		[VMERR_CDROM_MISSING] = 1,
		[VMERR_CONFIG] = 1,
		[VMERR_TIMEOUT] = 6,
		[VMERR_GONE] = 1,
		[VMERR_GUEST] = 1,
	};
	char line[64];
	int e;

	for (e = 1; e < VMERR_MAX; e++) {
		snprintf(line, sizeof(line), "pause %d", e);
		assert_int_equal(vmctl(fails, line), want[e]);
		snprintf(line, sizeof(line), "status %d", e);
		assert_int_equal(vmctl(fails, line), want[e]);
	}
	assert_int_equal(vmctl(fails, "pause 3"), 5);
	assert_string_equal(err, "vmctl: pause 3: not permitted\n");
	assert_int_equal(vmctl(fails, "pause 1"), 1);
	assert_string_equal(err,
	    "vmctl: pause 1: no \\^[way\nvmctl: pause 1: very\n");
	assert_int_equal(vmctl(fails, "status 4"), 3);
	assert_string_equal(out, HEADER);
	assert_string_equal(err, "vmctl: status 4: no such VM\n");
}

static int
hang_up(struct request *r)
{
	return -1;
}

static int stops(struct request *r);

static int
silent(struct request *r)
{
	return 0;
}

/* Answers later than vmctl waits for most answers. */
static int
slow(struct request *r)
{
	poll(NULL, 0, 1300);
	return stops(r);
}

/* A daemon whose process for clients is away. */
static void
no_answer(void **state)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	char text[256], line[256];
	int lfd, fd[8];
	size_t i;

	client_patience_s = 1;
	snprintf(text, sizeof(text), "vmctl: status: %s: vmd does not answer\n",
	    fake_sock);
	assert_int_equal(vmctl(silent, "status"), 6);
	assert_string_equal(err, text);
	snprintf(text, sizeof(text),
	    "stopping vm a: failed\n"
	    "vmctl: stop: %s: vmd does not answer\n",
	    fake_sock);
	assert_int_equal(vmctl(silent, "stop a"), 6);
	assert_string_equal(err, text);
	/* These take what they take. */
	assert_int_equal(vmctl(slow, "wait web1"), 0);
	/* ... unless they are told. */
	assert_int_equal(vmctl(silent, "-t 1 wait web1"), 6);
	assert_int_equal(vmctl(silent, "-t 1 stop -w web1"), 6);
	assert_int_equal(vmctl(silent, "-t 1 reset"), 6);
	client_patience_s = 30;
	assert_int_equal(vmctl(silent, "-t 1 status"), 6);
	assert_int_equal(vmctl(silent, "-t 1 start web1"), 6);
	client_patience_s = 1;
	assert_int_equal(vmctl(slow, "stop web1"), 6);
	assert_int_equal(vmctl(slow, "-t 0 stop web1"), 0);
	assert_int_equal(vmctl(slow, "-t 30 stop web1"), 0);
	assert_int_equal(vmctl(slow, "stop -w web1"), 0);
	/* Nobody takes connections, and no more fit into the queue. */
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/full", fake_dir);
	lfd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(lfd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(lfd, 0), 0);
	for (i = 0; i < 8; i++) {
		fd[i] = socket(AF_UNIX,
		    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (connect(fd[i], (struct sockaddr *)&sun, sizeof(sun)) == -1)
			break;
	}
	assert_true(i > 0 && i < 8);
	snprintf(line, sizeof(line), "-s %s wait web1", sun.sun_path);
	assert_int_equal(vmctl(NULL, line), 6);
	snprintf(text, sizeof(text), "vmctl: wait: %s: vmd does not answer\n",
	    sun.sun_path);
	assert_string_equal(err, text);
	for (; i != SIZE_MAX; i--)
		close(fd[i]);
	close(lfd);
	unlink(sun.sun_path);
	client_patience_s = 30;
}

static void
no_daemon(void **state)
{
	char text[256];

	assert_int_equal(vmctl(NULL, "status"), 7);
	snprintf(text, sizeof(text),
	    "vmctl: status: %s: No such file or directory\n", fake_sock);
	assert_string_equal(err, text);
	assert_int_equal(vmctl(hang_up, "status"), 7);
	snprintf(text, sizeof(text),
	    "vmctl: status: %s: connection closed by vmd\n", fake_sock);
	assert_string_equal(err, text);
	snprintf(text, sizeof(text),
	    "stopping vm web1: failed\n"
	    "vmctl: stop: %s: connection closed by vmd\n",
	    fake_sock);
	assert_int_equal(vmctl(hang_up, "stop web1"), 7);
	assert_string_equal(err, text);
	assert_int_equal(vmctl(NULL, "start web1"), 7);
	assert_int_equal(vmctl(NULL, "stop -a"), 7);
	assert_int_equal(vmctl(NULL, "stop web1"), 7);
	assert_int_equal(vmctl(NULL, "console web1"), 7);
}

static void
usage(void **state)
{
	static const char *const bad[] = {
		"",
		"st",
		"xyz",
		"-x",
		"-t",
		"-t 1s status",
		"-t -1 status",
		"-t 86401 status",
		"status a b",
		"status -x",
		"stop",
		"stop -a web1",
		"stop a b",
		"wait",
		"pause",
		"disable",
		"enable a b",
		"unpause a b",
		"start",
		"start a b",
		"start -m",
		"start -i 1 -i 1 a",
		"start -m 2M -m 2M a",
		"log",
		"log x",
		"log verbose brief",
		"reset x",
		"load",
		"reload x",
		"console",
		"console -fr a",
		"host x",
		"create",
		"send",
		"receive",
	};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (vmctl(NULL, bad[i]) != 2)
			fail_msg("vmctl %s: not refused", bad[i]);
		assert_non_null(strstr(err, "usage:  vmctl "));
		assert_string_equal(out, "");
	}
	assert_int_equal(vmctl(NULL, "st"), 2);
	assert_non_null(strstr(err, "ambiguous argument: st\n"));
	assert_int_equal(vmctl(NULL, "xyz"), 2);
	assert_non_null(strstr(err, "unknown argument: xyz\n"));
	assert_int_equal(vmctl(NULL, "-h"), 0);
	assert_non_null(strstr(out, "vmctl status [-jr] [id | name]\n"));
}

/* Stops what is asked; -w waits. */
static int
stops(struct request *r)
{
	static char name[] = "web1", why[] = "power button";
	struct vmop_result res = { .id = 5, .name = name };
	struct vmop_id op;

	if (r->type == IMSG_VMDOP_GET_INFO_VM_REQUEST)
		return list(r);
	if (vmop_id_get(r->body, &op) == -1)
		_exit(96);
	if (strcmp(op.name, "off") == 0)
		res.err = VMERR_NOTRUNNING;
	else if (strcmp(op.name, "none") == 0)
		res.err = VMERR_NOTFOUND;
	else if (strcmp(op.name, "busy") == 0)
		res.err = VMERR_STOPPING;
	if (res.err == VMERR_OK &&
	    (op.flags & VMOP_WAIT || r->type == IMSG_VMDOP_WAIT_VM_REQUEST)) {
		res.exit = VMEXIT_POWEROFF;
		res.text = why;
		fake_result(r, IMSG_VMDOP_TERMINATE_VM_EVENT, &res, -1);
	} else
		fake_result(r, IMSG_VMDOP_TERMINATE_VM_RESPONSE, &res, -1);
	vmop_id_fini(&op);
	return 0;
}

static void
stopping(void **state)
{
	static const struct {
		const char *line;
		int status;
		const char *text;
	} t[] = {
		{ "stop web1", 0,
		    "stopping vm web1: requested to shutdown vm 5\n" },
		{ "stop 5 -w", 0, "stopping vm: terminated vm 5\n" },
		{ "stop -fw web1", 0,
		    "stopping vm web1: forced to terminate vm 5\n" },
		{ "stop web1 -wf", 0,
		    "stopping vm web1: forced to terminate vm 5\n" },
		{ "sto off", 4,
		    "stopping vm off: cannot stop vm that is not running\n" },
		{ "stop none", 3, "stopping vm none: vm not found\n" },
		{ "stop busy", 4,
		    "stopping vm busy: failed: already being stopped\n" },
		{ "wait web1", 0, "waiting for vm web1: terminated vm 5\n" },
		{ "w none", 3, "waiting for vm none: vm not found\n" },
		{ "stop -a", 0,
		    "stopping vm web1: requested to shutdown vm 5\n" },
	};
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(vmctl(stops, t[i].line), t[i].status);
		assert_string_equal(err, t[i].text);
		assert_string_equal(out, "");
	}
	assert_int_equal(vmctl(stops, "stop -jw web1"), 0);
	assert_string_equal(out,
	    "{\"id\":5,\"name\":\"web1\",\"ended\":true,"
	    "\"exit\":\"powered off\",\"exit_text\":\"power button\"}\n");
	assert_string_equal(err, "");
}

/* Starts what has this very specification. */
static int
starts(struct request *r)
{
	static char name[] = "web1", tty[] = "/dev/pts/9";
	struct vmop_result res = { .id = 3,
		.name = name,
		.tty = tty,
		.pid = 77 };
	const struct vmop_result none = { .err = VMERR_NOTFOUND };
	struct vm_spec *s;

	if (r->type == IMSG_VMDOP_GET_INFO_VM_REQUEST) {
		fake_result(r, END, &none, -1);
		return 0;
	}
	if ((s = vm_spec_get(r->body)) == NULL || r->nfds != 0 ||
	    wire_end(r->body) == -1)
		_exit(96);
	if (s->given != 0 &&
	    (s->cpus != 3 || s->memory != 64 << 20 || s->nnics != 3 ||
		!(s->nics[0].flags & NICF_LOCAL) || s->nics[1].sw == NULL ||
		strcmp(s->nics[1].sw, "up") != 0 || s->nics[2].sw != NULL ||
		s->boot == NULL || strcmp(s->boot, "/some/kernel") != 0 ||
		s->bootdev != BOOTDEV_NET || strcmp(s->cmdline, "quiet") != 0 ||
		s->initrd == NULL ||
		strcmp(s->initrd, "/nowhere/../initrd") != 0)) {
		res.err = VMERR_INVALID;
		res.text = NULL;
	}
	fake_result(r, IMSG_VMDOP_START_VM_RESPONSE, &res, -1);
	vm_spec_free(s);
	return 0;
}

/* Says what it got: "PATH FORMAT FLAGS;" of each disk, and a CD. */
static int
disks(struct request *r)
{
	struct vmop_result res = { .err = VMERR_FAILED };
	char got[2048] = "got ";
	struct vm_spec *s;
	size_t n;
	uint32_t i;

	if (r->type == IMSG_VMDOP_GET_INFO_VM_REQUEST)
		return nothing(r);
	if ((s = vm_spec_get(r->body)) == NULL || r->nfds != 0)
		_exit(96);
	for (i = 0; i < s->ndisks; i++) {
		n = strlen(got);
		snprintf(got + n, sizeof(got) - n, "%s %d %u;",
		    s->disks[i].path, s->disks[i].format, s->disks[i].flags);
	}
	n = strlen(got);
	snprintf(got + n, sizeof(got) - n, " %s",
	    s->cdrom == NULL ? "none" : s->cdrom);
	res.text = got;
	fake_result(r, IMSG_VMDOP_START_VM_RESPONSE, &res, -1);
	vm_spec_free(s);
	return 0;
}

static void
starting_with_disks(void **state)
{
	char path[128], line[1024], want[1024], *cwd;
	size_t i;
	FILE *f;

	snprintf(path, sizeof(path), "%s/disk", fake_dir);
	assert_non_null(f = fopen(path, "w"));
	fclose(f);
	snprintf(line, sizeof(line),
	    "start -d %s -d raw:%s -d qcow2:%s -r %s new", path, path, path,
	    path);
	assert_int_equal(vmctl(disks, line), 1);
	snprintf(want, sizeof(want),
	    "vmctl: start new: got %s %d 0;%s %d 0;%s %d 0; %s\n", path,
	    DISK_AUTO, path, DISK_RAW, path, DISK_QCOW2, path);
	assert_non_null(strstr(err, want));
	/* From where we are, and as it was written. */
	assert_non_null(cwd = getcwd(NULL, 0));
	assert_int_equal(vmctl(disks, "start -d raw:../d -r ./cd new"), 1);
	snprintf(want, sizeof(want), "got %s/../d %d 0; %s/./cd\n", cwd,
	    DISK_RAW, cwd);
	assert_non_null(strstr(err, want));
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(vmctl(disks, "start -d raw:d new"), 1);
	snprintf(want, sizeof(want), "got /d %d 0; none\n", DISK_RAW);
	assert_non_null(strstr(err, want));
	assert_int_equal(chdir(cwd), 0);
	free(cwd);
	assert_int_equal(vmctl(disks, "start -d raw: new"), 1);
	assert_non_null(strstr(err, "-d raw:: not a name of a file\n"));
	/* One that cannot be written, also not by root. */
	if (access("/sys/kernel/notes", R_OK) == 0) {
		assert_int_equal(vmctl(disks,
				     "start -d raw:/sys/kernel/notes new"),
		    1);
		assert_non_null(strstr(err,
		    "vmctl: disk /sys/kernel/notes is read-only\n"));
		snprintf(want, sizeof(want), "got /sys/kernel/notes %d %d;",
		    DISK_RAW, DISKF_READONLY);
		assert_non_null(strstr(err, want));
	}
	strcpy(line, "start ");
	for (i = 0; i < VM_MAX_DISKS + 1; i++)
		snprintf(line + strlen(line), sizeof(line) - strlen(line),
		    "-d%s ", path);
	strcat(line, "new");
	assert_int_equal(vmctl(disks, line), 1);
	assert_non_null(strstr(err, "too many disks: at most 16"));
	unlink(path);
}

static void
starting(void **state)
{
	static const char done[] =
	    "vmctl: started vm 3 successfully, tty /dev/pts/9\n";
	static const char line[] = "start web1 -p3 -m64M -L -n up -i3 "
				   "-b /some/kernel -I /nowhere/../initrd "
				   "-a quiet -B net";

	assert_int_equal(vmctl(starts, "start web1"), 0);
	assert_string_equal(err, done);
	assert_int_equal(vmctl(starts, "start -j web1"), 0);
	assert_string_equal(out,
	    "{\"id\":3,\"name\":\"web1\",\"pid\":77,"
	    "\"tty\":\"/dev/pts/9\"}\n");
	assert_int_equal(vmctl(starts, line), 0);
	assert_non_null(strstr(err, done));
	assert_non_null(strstr(err, "vmctl: starting without disks\n"));
	assert_int_equal(vmctl(starts, "start -m 64M web1"), 1);
	assert_string_equal(err,
	    "vmctl: start web1: no kernel, disk or CD-ROM given\n");
	assert_int_equal(vmctl(starts, "start -m 1M web1"), 1);
	assert_string_equal(err, "vmctl: start: -m 1M: less than 2M\n");
	assert_int_equal(vmctl(starts, "start -m 2E web1"), 1);
	assert_int_equal(vmctl(starts, "start -p 65 web1"), 1);
	assert_int_equal(vmctl(starts, "start -i 17 web1"), 1);
	assert_int_equal(vmctl(starts, "start -i 0 web1"), 1);
	assert_int_equal(vmctl(starts, "start -i 1 -LL web1"), 1);
	assert_string_equal(err,
	    "vmctl: start: -i 1: 2 interfaces are described\n");
	assert_int_equal(vmctl(starts,
			     "start -n 0123456789012345678901234567890123456789"
			     "012345678901234567890123 web1"),
	    1);
	assert_non_null(strstr(err, "not a name of a switch\n"));
	assert_int_equal(vmctl(starts, "start -B floppy web1"), 1);
	assert_int_equal(vmctl(starts, "start -t .x web1"), 1);
	assert_int_equal(vmctl(starts, "start _web1"), 1);
}

/* Administration; the name tells what is to be answered. */
static int
admin(struct request *r)
{
	static char changes[] = "add a\nchange b when it starts again\n",
		    wrong[] = "/etc/vm.conf:3: syntax error\n"
			      "/etc/vm.conf:9: no such disk",
		    odd[] = "/dev/null:1: agentx\nsettings\n";
	struct vmop_result res = { 0 };
	struct vmop_id op;

	if (vmop_id_get(r->body, &op) == -1)
		_exit(96);
	if (r->type == IMSG_VMDOP_RELOAD && op.flags & VMOP_DRYRUN)
		res.text = changes;
	else if (r->type == IMSG_VMDOP_LOAD)
		res.text = odd;
	else if (r->type == IMSG_VMDOP_RELOAD) {
		res.err = VMERR_CONFIG;
		res.text = wrong;
	} else if (r->type == IMSG_CTL_VERBOSE && op.arg != 2)
		res.err = VMERR_PERM;
	else if (r->type == IMSG_CTL_RESET && op.arg != 1)
		res.err = VMERR_BUSY;
	fake_result(r, res.err == VMERR_OK ? IMSG_CTL_OK : IMSG_CTL_FAIL, &res,
	    -1);
	vmop_id_fini(&op);
	return 0;
}

static void
administration(void **state)
{
	assert_int_equal(vmctl(admin, "reload -n"), 0);
	assert_string_equal(out, "add a\nchange b when it starts again\n");
	assert_int_equal(vmctl(admin, "rel -jn"), 0);
	assert_string_equal(out,
	    "{\"action\":\"add\",\"name\":\"a\",\"when\":null}\n"
	    "{\"action\":\"change\",\"name\":\"b\","
	    "\"when\":\"when it starts again\"}\n");
	assert_int_equal(vmctl(admin, "reload"), 1);
	assert_string_equal(err,
	    "vmctl: reload: /etc/vm.conf:3: syntax error\n"
	    "vmctl: reload: /etc/vm.conf:9: no such disk\n");
	assert_int_equal(vmctl(admin, "log VERB"), 0);
	assert_string_equal(err, "");
	assert_int_equal(vmctl(admin, "log brief"), 5);
	assert_int_equal(vmctl(admin, "reset vms"), 0);
	assert_int_equal(vmctl(admin, "reset"), 1);
	assert_int_equal(vmctl(admin, "load /nonexistent"), 1);
	/* Done, but for something. */
	assert_int_equal(vmctl(admin, "load /dev/null"), 0);
	assert_string_equal(out, "");
	assert_string_equal(err,
	    "vmctl: load /dev/null: warning: /dev/null:1: agentx\n"
	    "vmctl: load /dev/null: warning: settings\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(statuses),
		cmocka_unit_test(no_answer),
		cmocka_unit_test(no_daemon),
		cmocka_unit_test(usage),
		cmocka_unit_test(stopping),
		cmocka_unit_test(starting),
		cmocka_unit_test(starting_with_disks),
		cmocka_unit_test(administration),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, fake_setup, fake_teardown);
}
