/*
 * vm.conf: every sample, valid or not, with what is said about it; and what
 * the valid ones mean.  Users and groups are made up here.
 */

#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "vmd/conf/conf.h"

static char dir[] = "/tmp/conf_test.XXXXXX";
static char said[16384];
static char where[256]; /* file of the first complaint */

#define SAMPLES "regress/conf"

struct passwd *__wrap_getpwnam(const char *name);
struct group *__wrap_getgrnam(const char *name);

struct passwd *
__wrap_getpwnam(const char *name)
{
	static const struct {
		const char *name;
		uid_t uid;
	} users[] = { { "root", 0 }, { "joe", 1001 }, { "alice", 1002 },
		{ "admin", 1003 }, { "user", 1004 } };
	static struct passwd pw;
	size_t i;

	for (i = 0; i < sizeof(users) / sizeof(users[0]); i++)
		if (strcmp(users[i].name, name) == 0) {
			pw.pw_uid = users[i].uid;
			return &pw;
		}
	return NULL;
}

struct group *
__wrap_getgrnam(const char *name)
{
	static struct group gr;

	if (strcmp(name, "vmusers") == 0)
		gr.gr_gid = 2001;
	else if (strcmp(name, "wheel") == 0)
		gr.gr_gid = 2002;
	else
		return NULL;
	return &gr;
}

/*
 * One line for each complaint: "2: text", "2: warning: text" or
 * "2: note: text".
 */
static void
report(void *arg, int warning, const char *file, uint32_t line,
    const char *text)
{
	static const char *const kinds[] = { "", "warning: ", "note: " };
	size_t n = strlen(said);

	if (n == 0)
		snprintf(where, sizeof(where), "%s", file);
	snprintf(said + n, sizeof(said) - n, "%u: %s%s\n", line, kinds[warning],
	    text);
}

static void
count(void *arg, int warning, const char *file, uint32_t line, const char *text)
{
	(*(int *)arg)++;
}

static void
put(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_non_null(f = fopen(path, "w"));
	fputs(text, f);
	fclose(f);
}

static unsigned int nstats;

/* What looks for a file, which may take for ever. */
int
stat(const char *path, struct stat *st)
{
	nstats++;
	return fstatat(AT_FDCWD, path, st, 0);
}

static struct conf *
load(const char *text, const char *const *macros)
{
	struct conf_opts o = { .macros = macros,
		.flags = CONF_DRYRUN,
		.report = report };
	char path[256];

	put("vm.conf", text);
	snprintf(path, sizeof(path), "%s/vm.conf", dir);
	said[0] = '\0';
	return conf_load(path, &o);
}

static const struct vm_spec *
vm(const struct conf *c, const char *name)
{
	const struct conf_vm *v;

	TAILQ_FOREACH(v, &c->vms, entry)
		if (strcmp(v->spec->name, name) == 0)
			return v->spec;
	fail_msg("no vm %s", name);
	return NULL;
}

/* --- samples ------------------------------------------------------------ */

/* One line of `want' against one of `got'. */
static int
line_matches(const char *want, size_t wlen, const char *got, size_t glen)
{
	if (wlen > 0 && want[0] == '*') { /* any line number */
		const char *colon = memchr(got, ':', glen);

		if (colon == NULL)
			return 0;
		glen -= (size_t)(colon - got);
		got = colon;
		want++;
		wlen--;
	}
	if (wlen > 0 && want[wlen - 1] == '*')
		return glen >= wlen - 1 && memcmp(want, got, wlen - 1) == 0;
	return wlen == glen && memcmp(want, got, wlen) == 0;
}

static int
matches(const char *want, const char *got)
{
	size_t wlen, glen;

	while (*want != '\0' || *got != '\0') {
		wlen = strcspn(want, "\n");
		glen = strcspn(got, "\n");
		if (!line_matches(want, wlen, got, glen))
			return 0;
		want += wlen + (want[wlen] == '\n');
		got += glen + (got[glen] == '\n');
	}
	return 1;
}

/* All of a file, as a string that the caller frees. */
static char *
text_of(const char *path)
{
	char *s = calloc(1, 4096);
	FILE *f = fopen(path, "r");

	if (s == NULL || f == NULL)
		fail_msg("%s", path);
	else
		s[fread(s, 1, 4095, f)] = '\0';
	if (f != NULL)
		fclose(f);
	return s;
}

/*
 * Read one sample.  Its .ok file has what must be said, in this order, and
 * `exit' with the status of vmd -n.  A line that ends in `*' may go on, one
 * that begins with it may have any number.
 */
static int
sample_bad(const char *path)
{
	struct conf_opts o = { .flags = CONF_DRYRUN, .report = report };
	char ok[256], *want;
	struct conf *c;
	int bad;

	snprintf(ok, sizeof(ok), "%.*s.ok", (int)strlen(path) - 5, path);
	want = text_of(ok);
	said[0] = '\0';
	c = conf_load(path, &o);
	strcat(said, c == NULL ? "exit 1\n" : "exit 0\n");
	if ((bad = !matches(want, said)))
		printf("# %s: said:\n%s# expected:\n%s", path, said, want);
	conf_free(c);
	free(want);
	return bad;
}

static void
test_samples(void **state)
{
	size_t i, bad = 0;
	glob_t g;

	assert_int_equal(glob(SAMPLES "/*.conf", 0, NULL, &g), 0);
	assert_true(g.gl_pathc > 100);
	for (i = 0; i < g.gl_pathc; i++)
		bad += (size_t)sample_bad(g.gl_pathv[i]);
	globfree(&g);
	assert_int_equal(bad, 0);
}

/* --- meaning -------------------------------------------------------------- */

static void
test_full_vm(void **state)
{
	const struct vm_spec *s;
	struct conf *c;

	c = load("vm \"full\" {\n\tdisable\n\tcpus 3\n\tmemory 2.5G\n"
		 "\tmemory overcommit\n\tboot /k\n\tinitrd \"/i\"\n"
		 "\tcmdline \"console=ttyS0 quiet\"\n\tid 42\n"
		 "\trestart on-failure\n\tstop timeout 5\n"
		 "\tconsole log \"/var/log/full\"\n\towner joe:vmusers\n"
		 "\tdisk /d0 format raw readonly serial \"abc\"\n\tdisk /d1\n"
		 "\tcdrom /c.iso\n\tboot device disk\n\tinterfaces 3\n"
		 "\tlocal interface tap9 locked lladdr 02:00:00:00:00:09\n"
		 "\tinterface { down\n\t rdomain 5, group g }\n"
		 "\tallow instance { disk, owner :wheel }\n\tseves\n}\n",
	    NULL);
	assert_string_equal(said, "");
	assert_non_null(c);
	s = vm(c, "full");
	assert_int_equal(s->flags,
	    VMF_DISABLED | VMF_OVERCOMMIT | VMF_SEV | VMF_SEVES);
	assert_int_equal(s->cpus, 3);
	assert_int_equal(s->memory, 2560ULL << 20);
	assert_string_equal(s->boot, "/k");
	assert_string_equal(s->initrd, "/i");
	assert_string_equal(s->cmdline, "console=ttyS0 quiet");
	assert_string_equal(s->console_log, "/var/log/full");
	assert_string_equal(s->cdrom, "/c.iso");
	assert_int_equal(s->id, 42);
	assert_int_equal(s->restart, RESTART_ON_FAILURE);
	assert_int_equal(s->stop_timeout, 5);
	assert_int_equal(s->bootdev, BOOTDEV_DISK);
	assert_int_equal(s->uid, 1001);
	assert_int_equal(s->gid, 2001);
	assert_int_equal(s->ins_uid, 0);
	assert_int_equal(s->ins_gid, 2002);
	assert_int_equal(s->ins_flags, INSF_DISK | INSF_OWNER);
	assert_int_equal(s->ndisks, 2);
	assert_string_equal(s->disks[0].path, "/d0");
	assert_string_equal(s->disks[0].serial, "abc");
	assert_int_equal(s->disks[0].format, DISK_RAW);
	assert_int_equal(s->disks[0].flags, DISKF_READONLY);
	assert_int_equal(s->disks[1].format, DISK_AUTO);
	assert_int_equal(s->nnics, 3);
	assert_string_equal(s->nics[0].ifname, "tap9");
	assert_int_equal(s->nics[0].flags,
	    NICF_UP | NICF_LOCAL | NICF_LOCKED | NICF_LLADDR);
	assert_memory_equal(s->nics[0].lladdr, "\2\0\0\0\0\11", 6);
	assert_int_equal(s->nics[1].flags, NICF_RDOMAIN);
	assert_int_equal(s->nics[1].rdomain, 5);
	assert_string_equal(s->nics[1].group, "g");
	assert_int_equal(s->nics[2].flags, NICF_UP);
	assert_int_equal(s->line, 1);
	conf_free(c);
}

static void
test_global(void **state)
{
	struct conf *c;

	c = load("local prefix \"10/8\"\nlocal inet6 prefix fd12::/48\n"
		 "socket owner admin:wheel\nfirmware \"/fw\"\n"
		 "staggered start parallel 4 delay 9\nstatus own\n"
		 "limit user joe { cpus 4 memory 1G interfaces 3 vms 2 }\n"
		 "switch s {\n\tinterface veb3\n\tgroup g\n\trdomain 7\n"
		 "\tlocked lladdr\n\tdown\n}\n"
		 "switch off { disable interface bridge0 }\n",
	    NULL);
	assert_string_equal(said, "");
	assert_int_equal(c->local_prefix, 10U << 24);
	assert_int_equal(c->local_mask, 0xff000000U);
	assert_true(c->local_inet6 && c->local_prefix6_given);
	assert_int_equal(c->socket_uid, 1003);
	assert_int_equal(c->socket_gid, 2002);
	assert_string_equal(c->firmware, "/fw");
	assert_int_equal(c->parallel, 4);
	assert_int_equal(c->delay, 9);
	assert_true(c->status_given && c->status_own);
	assert_int_equal(TAILQ_FIRST(&c->limits)->id, 1001);
	assert_int_equal(TAILQ_FIRST(&c->limits)->memory, 1 << 30);
	assert_int_equal(TAILQ_FIRST(&c->limits)->vms, 2);
	assert_string_equal(TAILQ_FIRST(&c->switches)->ifname, "veb3");
	assert_int_equal(TAILQ_FIRST(&c->switches)->flags,
	    SWITCHF_LOCKED | SWITCHF_RDOMAIN);
	assert_null(TAILQ_NEXT(TAILQ_FIRST(&c->switches), entry));
	conf_free(c);
}

static void
test_nets(void **state)
{
	const struct nic_spec *n;
	struct conf *c;

	c = load("local nat\ndns 10.0.0.1 fd00::53, 9.9.9.9\n"
		 "domain lab.example\nntp 10.0.0.2, 10.0.0.3\n"
		 "vm a {\n\tdisk /x\n"
		 "\tlocal interface tap4 nat mtu 9000, forward 8080 to 80 "
		 "forward udp 53\n"
		 "\tinterface { user\n\t\tforward tcp 1 to 65535 }\n"
		 "\tinterface {\n\t\tswitch s\n\t\tisolated\n\t}\n"
		 "\tinterfaces 4\n}\n"
		 "switch s { interface bridge0 }\n",
	    NULL);
	assert_string_equal(said, "");
	assert_non_null(c);
	assert_int_equal(c->local_nat, 1);
	assert_int_equal(c->local_given, 0);
	assert_int_equal(c->local_prefix, 0x64400000);
	assert_int_equal(c->local_mask, 0xffc00000);
	assert_int_equal(c->ndns4, 2);
	assert_int_equal(c->dns4[1], 0x09090909);
	assert_int_equal(c->ndns6, 1);
	assert_int_equal(c->dns6[0][15], 0x53);
	assert_int_equal(c->nntp4, 2);
	assert_int_equal(c->ntp4[0], 0x0a000002);
	assert_string_equal(c->domain, "lab.example");
	n = vm(c, "a")->nics;
	assert_string_equal(n[0].ifname, "tap4");
	assert_int_equal(n[0].flags, NICF_UP | NICF_LOCAL | NICF_NAT);
	assert_int_equal(n[0].mtu, 9000);
	assert_int_equal(n[0].nforwards, 2);
	assert_int_equal(n[0].forwards[0].proto, IPPROTO_TCP);
	assert_int_equal(n[0].forwards[0].port, 8080);
	assert_int_equal(n[0].forwards[0].to, 80);
	assert_int_equal(n[0].forwards[1].proto, IPPROTO_UDP);
	assert_int_equal(n[0].forwards[1].port, 53);
	assert_int_equal(n[0].forwards[1].to, 53);
	assert_int_equal(n[1].flags, NICF_UP | NICF_USER);
	assert_int_equal(n[1].forwards[0].to, 65535);
	assert_int_equal(n[1].mtu, 0);
	assert_int_equal(n[2].flags, NICF_UP | NICF_ISOLATED);
	assert_int_equal(n[3].flags, NICF_UP);
	assert_int_equal(vm(c, "a")->nnics, 4);
	conf_free(c);
}

/* What will be done to the host is said, and is no complaint. */
static void
test_notes(void **state)
{
	struct conf_opts o = { .flags = CONF_DRYRUN, .report = report };
	struct conf *c;

	c = load("vm a {\n\tboot /dev/null\n\tlocal interface nat forward 80\n"
		 "\tinterface { user forward udp 53 to 5353 }\n}\n",
	    NULL);
	assert_non_null(c);
	assert_int_equal(conf_check(c, &o), 0);
	assert_string_equal(said,
	    "1: note: vm \"a\": interface 0: nat turns on forwarding in the "
	    "host and masquerades its address of 100.64.0.0/10\n"
	    "1: note: vm \"a\": interface 0: tcp port 80 of the host leads "
	    "to port 80 of the guest\n"
	    "1: note: vm \"a\": interface 1: udp port 53 of the host leads "
	    "to port 5353 of the guest\n");
	conf_free(c);
	c = load("\nlocal nat\nlocal prefix 10.0.0.0/9\n"
		 "local inet6 prefix fd12::/48\n"
		 "vm a {\n\tboot /dev/null\n\tlocal interface nat\n}\n",
	    NULL);
	assert_non_null(c);
	assert_int_equal(conf_check(c, &o), 0);
	assert_string_equal(said,
	    "2: note: local nat turns on forwarding in the host and "
	    "masquerades 10.0.0.0/9 and fd12::/64\n");
	conf_free(c);
}

static void
test_macros(void **state)
{
	static const char *const given[] = { "mem=512M", "a=b=/d", NULL };
	struct conf *c;

	c = load("mem = 1G\nvm x {\n\tdisk /x\n\tmemory $mem\n}\n", given);
	assert_non_null(c);
	assert_int_equal(vm(c, "x")->memory, 512 << 20);
	conf_free(c);
}

static void
test_includes(void **state)
{
	char text[512];
	struct conf *c;

	put("b.conf", "vm b {\n\tdisk /b\n}\n");
	snprintf(text, sizeof(text),
	    "include \"%s/b.conf\"\nvm a {\n\tdisk /a\n}\n", dir);
	c = load(text, NULL);
	assert_string_equal(said, "");
	assert_int_equal(vm(c, "b")->line, 1);
	assert_int_equal(vm(c, "a")->line, 2);
	conf_free(c);
	snprintf(text, sizeof(text), "include \"%s/vm.conf\"\n", dir);
	assert_null(load(text, NULL));
	assert_non_null(strstr(said, "1: failed to include file"));
	put("b.conf", "\n\nfoo\n");
	snprintf(text, sizeof(text), "include \"%s/b.conf\"\nbar\n", dir);
	assert_null(load(text, NULL));
	assert_string_equal(said, "3: syntax error\n2: syntax error\n");
	assert_non_null(strstr(where, "/b.conf"));
}

/* Nobody writes to it, and nobody waits. */
static void
test_fifo(void **state)
{
	char path[256], text[512];

	snprintf(path, sizeof(path), "%s/b.conf", dir);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	snprintf(text, sizeof(text), "include \"%s\"\n", path);
	alarm(20);
	assert_null(load(text, NULL));
	alarm(0);
	unlink(path);
	assert_non_null(strstr(said, "b.conf: Invalid argument\n"));
}

/* 300 files that include 300 that include 300 come to an end. */
static void
test_fan_out(void **state)
{
	char text[40000], *p;
	struct conf_opts o = { .report = count };
	int depth, i, n = 0;
	char path[256];

	o.arg = &n;
	for (depth = 0; depth < 3; depth++) {
		for (p = text, i = 0; i < 300; i++)
			p += sprintf(p, "include \"%s/%c.conf\"\n", dir,
			    'd' + depth);
		snprintf(path, sizeof(path), "%c.conf", 'c' + depth);
		put(path, text);
	}
	put("f.conf", "");
	snprintf(path, sizeof(path), "%s/c.conf", dir);
	alarm(20);
	assert_null(conf_load(path, &o));
	alarm(0);
	assert_true(n > 0);
	for (depth = 0; depth < 4; depth++) {
		snprintf(path, sizeof(path), "%s/%c.conf", dir, 'c' + depth);
		unlink(path);
	}
}

/* Macros cannot be made to expand without end. */
static void
test_macro_bomb(void **state)
{
	char *text = malloc(200000), *p;
	int i;

	p = text + sprintf(text, "a = \"");
	memset(p, 'x', 8000);
	p += 8000;
	p += sprintf(p, "\"\n");
	for (i = 0; i < 30000; i++)
		p += sprintf(p, "$a ");
	strcpy(p, "\n");
	assert_null(load(text, NULL));
	free(text);
}

static void
test_files(void **state)
{
	struct conf_opts o = { .report = report };
	char path[256];
	struct conf *c;

	snprintf(path, sizeof(path), "%s/none.conf", dir);
	said[0] = '\0';
	assert_null(conf_load(path, &o));
	assert_string_equal(said, "0: No such file or directory\n");
	o.flags = CONF_MISSING_OK;
	assert_non_null(c = conf_load(path, &o));
	conf_free(c);
	said[0] = '\0';
	assert_null(conf_load(dir, &o));
	assert_string_equal(said, "0: Is a directory\n");
}

static void
test_settings(void **state)
{
	struct conf *c;

	assert_non_null(c = load("", NULL));
	assert_int_equal(c->resets, 3);
	assert_int_equal(c->resets_seconds, 6);
	assert_int_equal(c->kill_timeout, 10);
	assert_false(c->limits_given);
	conf_free(c);
	assert_non_null(c = load("reset limit 100 in 86400\n"
				 "kill timeout 300\n",
			    NULL));
	assert_int_equal(c->resets, 100);
	assert_int_equal(c->resets_seconds, 86400);
	assert_int_equal(c->kill_timeout, 300);
	assert_true(c->limits_given);
	conf_free(c);
}

/* Commas or not, it is the same. */
static void
test_separators(void **state)
{
	const struct vm_spec *s;
	struct conf *c;

	assert_non_null(c = load("vm a { memory 1G, disk /x, interface up, "
				 "down, cpus 3, disable, disk /y\n, }\n",
			    NULL));
	s = vm(c, "a");
	assert_int_equal(s->memory, 1 << 30);
	assert_int_equal(s->cpus, 3);
	assert_int_equal(s->ndisks, 2);
	assert_string_equal(s->disks[1].path, "/y");
	assert_int_equal(s->nnics, 1);
	assert_false(s->nics[0].flags & NICF_UP);
	assert_true(s->flags & VMF_DISABLED);
	conf_free(c);
}

/* A relative name is the same file in any directory. */
static void
test_firmware(void **state)
{
	struct conf_opts o = { .report = report, .flags = CONF_FILES };
	char cwd[256], want[512];
	struct conf *c;

	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_non_null(c = load("\nfirmware \"no/such\"\n", NULL));
	snprintf(want, sizeof(want), "%s/no/such", cwd);
	assert_string_equal(c->firmware, want);
	said[0] = '\0';
	assert_int_equal(conf_check(c, &o), 1);
	snprintf(want, sizeof(want),
	    "2: firmware %s/no/such: No such file or directory\n", cwd);
	assert_string_equal(said, want);
	conf_free(c);
	assert_non_null(c = load("firmware \"/dev/null\"\n", NULL));
	assert_int_equal(conf_check(c, &o), 0);
	conf_free(c);
}

/* X11 and X39, and what is no more than a warning. */
static void
test_check(void **state)
{
	struct conf_opts o = { .report = report,
		.flags = CONF_DRYRUN | CONF_FILES };
	struct conf *c;

	c = load("vm a {\n\tboot /no/kernel\n\tdisk /no/such\n"
		 "\tcdrom /no/iso\n}\n"
		 "vm t {\n\tdisable\n\tdisk /dev/null\n}\n"
		 "vm e {\n\tdisk /dev/null\n}\n",
	    NULL);
	said[0] = '\0';
	assert_int_equal(conf_check(c, &o), 4);
	assert_true(
	    matches("1: vm \"a\": kernel path not found: /no/kernel: *\n"
		    "1: vm \"a\": cdrom /no/iso: *\n"
		    "1: vm \"a\": failed to parse disks: /no/such: *\n"
		    "6: warning: vm \"t\": disk /dev/null is no image\n"
		    "10: vm \"e\": disk /dev/null is no image\n",
		said));
	assert_true(nstats > 0);
	/*
	 * The daemon has nothing to say of a template, and nothing to ask of
	 * file systems that may not answer.
	 */
	o.flags = 0;
	said[0] = '\0';
	nstats = 0;
	assert_int_equal(conf_check(c, &o), 1);
	assert_string_equal(said, "10: vm \"e\": disk /dev/null is no image\n");
	assert_int_equal(nstats, 0);
	conf_free(c);
}

/* Disks that could never be opened. */
static void
test_images(void **state)
{
	struct conf_opts o = { .report = report, .flags = CONF_FILES };
	char text[1024], want[1024];
	struct conf *c;

	put("empty", "");
	put("full", "data");
	snprintf(text, sizeof(text),
	    "vm a {\n\tdisk %s\n\tdisk %s/empty\n\tdisk /dev/zero\n"
	    "\tdisk %s/full\n\tdisk %s/../%s/full readonly\n"
	    "\tcdrom %s/full\n}\n"
	    "vm b {\n\tdisk %s/full readonly\n\tdisk %s/full readonly\n}\n",
	    dir, dir, dir, dir, strrchr(dir, '/') + 1, dir, dir, dir);
	assert_non_null(c = load(text, NULL));
	said[0] = '\0';
	assert_int_equal(conf_check(c, &o), 4);
	snprintf(want, sizeof(want),
	    "1: vm \"a\": failed to parse disks: %s: Is a directory\n"
	    "1: vm \"a\": failed to parse disks: %s/empty: is empty\n"
	    "1: vm \"a\": failed to parse disks: /dev/zero: "
	    "not a regular file or block device\n"
	    "1: vm \"a\": disk %s/../%s/full: "
	    "used by another disk of this VM\n",
	    dir, dir, dir, strrchr(dir, '/') + 1);
	assert_string_equal(said, want);
	conf_free(c);
}

static int
setup(void **state)
{
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	static const char *const names[] = { "vm.conf", "b.conf", "empty",
		"full" };
	char path[256];
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_full_vm),
		cmocka_unit_test(test_global),
		cmocka_unit_test(test_nets),
		cmocka_unit_test(test_notes),
		cmocka_unit_test(test_macros),
		cmocka_unit_test(test_includes),
		cmocka_unit_test(test_fifo),
		cmocka_unit_test(test_fan_out),
		cmocka_unit_test(test_macro_bomb),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_separators),
		cmocka_unit_test(test_firmware),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_images),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
