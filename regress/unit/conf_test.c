/*
 * vm.conf: every sample, valid or not, with what is said about it; and what
 * the valid ones mean.  Users and groups are made up here.
 */

#include <fcntl.h>
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
#include <sys/stat.h>
#include <cmocka.h>

#include "vmd/conf/conf.h"

static char dir[] = "/tmp/conf_test.XXXXXX";
static char said[16384];

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

/* One line for each complaint: "2: text" or "2: warning: text". */
static void
report(void *arg, int warning, const char *file, uint32_t line,
    const char *text)
{
	size_t n = strlen(said);

	snprintf(said + n, sizeof(said) - n, "%u: %s%s\n", line,
	    warning ? "warning: " : "", text);
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

/*
 * `says' is what must be said, in this order; a line that ends in `*' may go
 * on.  A sample with an error gives no configuration.
 */
struct sample {
	const char *id;
	const char *text;
	const char *says;
};

#define VM(body) "vm \"a\" {\n\tdisk \"/x.img\"\n" body "\n}\n"

/* clang-format off */
static const struct sample samples[] = {
{ "empty", "", "" },
{ "comment at the end", "# nothing", "" },
{ "S1", "vm \"web\" {\n\tdisk \"/vm/web.qcow2\"\n}\n", "" },
{ "S2", "dir = \"/vm/\"\nbig = \"2.5G\"\nvm \"db\" {\n\tmemory $big\n"
  "\tdisk $dir \"db-root.img\" format raw\n\tdisk $dir \"db-data.qcow2\"\n}\n",
  "" },
{ "S3", "switch \"lan\" {\n\tinterface bridge0\n\tgroup vmlan\n\trdomain 2\n}\n"
  "vm \"a\" {\n\tdisk \"/vm/a.img\"\n\tinterface tap { switch \"lan\" }\n"
  "\tinterface tap7 { switch \"lan\" rdomain 3 group special "
  "lladdr fe:e1:bb:00:00:02 }\n}\n", "" },
{ "S4", "local prefix 10.77.0.0/16\nlocal inet6\nvm \"nat1\" {\n"
  "\tdisk \"/vm/nat1.qcow2\"\n\tlocal interface\n}\n", "" },
{ "S5", "vm \"joes\" {\n\tdisable\n\towner joe\n"
  "\tdisk \"/home/joe/disk.qcow2\"\n\tlocal interface\n}\n", "" },
{ "S6", "socket owner :vmusers\nvm \"shared\" {\n\towner :vmusers\n"
  "\tmemory 1G\n\tdisk \"/vm/shared.img\"\n}\n", "" },
{ "S7", "vm \"template\" {\n\tdisable\n\tmemory 1G\n\tboot \"/boot/fw.bin\"\n"
  "\tallow instance { disk, memory\n\t\towner alice }\n}\n"
  "vm \"template\" instance \"copy1\" {\n\tdisk \"/vm/copy1.qcow2\"\n}\n", "" },
{ "S8", "vm \"install\" {\n\tdisable\n\tmemory 1G\n\tcdrom \"/iso/i.iso\"\n"
  "\tdisk \"/vm/new.qcow2\"\n\tboot device cdrom\n\tinterfaces 1\n}\n", "" },
{ "S9", "switch \"edge\" {\n\tinterface veb3\n\tlocked lladdr\n}\n"
  "vm \"guest1\" {\n\tdisk \"/vm/g1.img\"\n"
  "\tinterface { switch \"edge\" lladdr 02:00:00:00:00:11 }\n}\n", "" },
{ "S10", "staggered start parallel 2 delay 15\ninclude \"/nonexistent\"\n",
  "2: failed to include file /nonexistent: No such file or directory\n" },
{ "S11", "switch \"s\" { interface bridge1 }\n"
  "vm \"tiny\" { disk \"/vm/tiny.img\" }\n"
  "vm \"tiny2\" { memory 256M disk \"/vm/tiny2.img\"\n}\n", "" },
{ "S12", "vm \"k\" {\n\tboot \"/boot/bzImage\"\n\tinterfaces 3\n"
  "\tinterface tap switch \"lan\" group backend, rdomain 0\n\towner 1001\n}\n",
  "1: warning: vm \"k\": switch \"lan\" is not defined\n" },
{ "S13", "agentx context \"vms\" path \"/run/agentx/master\"\n"
  "socket owner admin:wheel\n",
  "1: warning: agentx is not supported, ignored\n" },
{ "S14", "vm 'odd.name' {\n\tdisk \"/vm/my disk.img\"\n"
  "\tdisk /vm/other.img\t# bare word is fine\n}\n", "" },
{ "S15", "vm tmpl {\n\tdisable #not at boot\n\tdisk \"/dev/null\"\n"
  "\tlocal interface locked lladdr 00:60:2F:0a:0b:0c\n\tinterface {\n"
  "\t\tgroup \"vm\"\n\t\tswitch \"elsewhere\"\n\t}\n\towner user\n"
  "\tallow instance {\n\t\tdisk\n\t\towner alice\n\t}\n}\n",
  "1: warning: vm \"tmpl\": switch \"elsewhere\" is not defined\n" },

{ "X1", "vm \"a\" { }\n", "1: syntax error\n" },
{ "X2", "vm \"a\"\n{\n\tdisk \"/x.img\"\n}\n", "" },
{ "X3", "vm \"a\" { disk \"/x\" } vm \"b\" { disk \"/y\" }\n", "" },
{ "X4", "vm \"a\" { memory 1G disk \"/x.img\" }\n", "" },
{ "X5", VM("\tcpus 2"), "" },
{ "X6", VM("\tmemory 512"), "3: failed to parse size: 512: memory size must "
  "be at least 1MB\n" },
{ "X7", VM("\tmemory 12Q"), "3: failed to parse size: 12Q: *" },
{ "X8", VM("\tmemory 2000G"), "3: failed to parse size: 2000G: memory size "
  "too large (limit is 1.0T)\n" },
{ "X9", VM("\tmemory 1G\n\tmemory 1G"), "4: memory specified more than "
  "once\n" },
{ "X9 number", VM("\tmemory 1G\n\tmemory 1073741824"),
  "4: memory specified more than once\n" },
{ "X12", VM("\tdisk \"/a.img\" format vmdk"),
  "3: unrecognized disk format vmdk\n" },
{ "X14", VM("\tinterfaces 17"), "3: too many interfaces: 17: at most 16\n" },
{ "X14 negative", VM("\tinterfaces -1"),
  "3: too many interfaces: -1: at most 16\n" },
{ "X14 nine", VM("\tinterfaces 9"), "" },
{ "X15", VM("\tinterfaces 1\n\tinterfaces 1"),
  "4: interfaces specified more than once\n" },
{ "X16", VM("\tinterface em0"), "3: invalid interface: em0: *" },
{ "X17", VM("\tinterface tapx"), "3: invalid interface: tapx: *" },
{ "X18", VM("\tinterface { lladdr zz:00 }"), "3: invalid address: zz:00\n" },
{ "X18 multicast", VM("\tinterface { lladdr 01:00:00:00:00:00 }"),
  "3: invalid address: 01:00:00:00:00:00\n" },
{ "X19", VM("\tinterface { rdomain 256 }"), "3: invalid rdomain: 256\n" },
{ "X20", VM("\tinterface { group net1 }"), "3: invalid group name: net1\n" },
{ "X21", VM("\tinterface { group averyveryverylongname }"),
  "3: invalid group name: averyveryverylongname\n" },
{ "X22", VM("\tinterface { group \"a\", group b }"), "" },
{ "X23", VM("\tinterface tap group \"a\", group b"), "" },
{ "X24", "switch \"s\" { up }\n",
  "1: switch \"s\" is missing interface name\n" },
{ "X25", "switch \"s\" { interface eth0 }\n",
  "1: invalid switch interface: eth0: *" },
{ "X26", "switch \"s\" { interface bridge }\n",
  "1: invalid switch interface: bridge: *" },
{ "X27", VM("\towner nosuchuser"), "3: failed to get user: nosuchuser\n" },
{ "X27 group", VM("\towner :nosuchgrp"),
  "3: failed to get group: nosuchgrp\n" },
{ "X28", VM("\towner 1000:100"), "3: failed to get user: 1000\n" },
{ "X29", "local prefix 10.0.0.0/24\n", "1: invalid local prefix: bad mask*" },
{ "X30", "local prefix 10.1.2.3/16\n", "1: invalid local prefix: bad mask\n" },
{ "X31", "local inet6 prefix fd00::/96\n",
  "1: invalid local inet6 prefix: too large\n" },
{ "X32", "local prefix host.example/16\n",
  "1: invalid local prefix: invalid format\n" },
{ "prefix short", "local prefix \"10/8\"\n", "" },
{ "prefix6", "local inet6 prefix fd12::/48\n", "" },
{ "prefix6 bits", "local inet6 prefix fd12::1/48\n",
  "1: invalid local inet6 prefix: bad mask\n" },
{ "X33", VM("\tdisk $nope"), "3: macro 'nope' not defined\n" },
{ "X34", "mem = 512\n", "1: syntax error\n" },
{ "X35", "memory = \"1G\"\n", "1: syntax error\n" },
{ "X36", "\"my name\" = \"x\"\n",
  "1: macro name cannot contain whitespace\n" },
{ "X37", "vm \"a\" {\n\tdisk \"/a.img\n}\n",
  "*: reached end of file while parsing quoted string\n" },
{ "X38", "include \"/no/file\"\n",
  "1: failed to include file /no/file: No such file or directory\n" },
{ "X40", "vm \"a\" {\n\tboot \"/k\"\n\tboot \"/k\"\n}\n",
  "3: kernel specified more than once\n" },
{ "X40 cdrom", "vm \"a\" {\n\tcdrom \"/k\"\n\tcdrom \"/k\"\n}\n",
  "3: cdrom specified more than once\n" },
{ "X41", VM("\tboot device floppy"), "3: syntax error\n" },
{ "X42", "staggered start parallel 2\n", "1: syntax error\n" },
{ "X43", "agentx path \"master\"\n", "1: agentx path is not absolute\n" },
{ "X44", VM("\tallow instance { }"), "3: syntax error\n" },
{ "X44 word", VM("\tallow instance { cpu }"), "3: syntax error\n" },
{ "X45", "vm aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa {\n"
  "\tdisk /x\n}\n", "1: vm name too long\n" },
{ "X46", "vm \"-x\" {\n\tdisk /x\n}\n", "1: vm \"-x\" failed: name must *" },
{ "X46 blank", "vm \"a b\" {\n\tdisk /x\n}\n",
  "1: vm \"a b\" failed: name has *" },
{ "X47", "vm \"a\" {\n\towner joe\n}\n",
  "1: vm \"a\" failed: no kernel or disk/cdrom specified\n" },
{ "X48", "vm \"a\" {\n\tmemory 1G\n}\n",
  "1: vm \"a\" failed: no kernel or disk/cdrom specified\n" },
{ "X49", "vm \"nope\" instance \"x\" {\n\tdisk /x\n}\n",
  "1: vm \"x\" failed: no vm \"nope\" to be an instance of\n" },
{ "X50", "vm a {\n\tdisk /x\n}\nvm a {\n\tdisk /x\n}\n",
  "4: vm \"a\" failed: defined before, at *" },
{ "X51", VM("\tinterface { switch \"undefined\" }"),
  "1: warning: vm \"a\": switch \"undefined\" is not defined\n" },
{ "X52", "switch \"s\" {\n\tinterface bridge77\n}\n", "" },
{ "X53", "vm a {\n\tcdrom \"/no/iso\"\n}\n", "" },
{ "X54", "vm 123 { disable }\n", "1: syntax error\n" },
{ "X55", "vm local { disable }\n", "1: syntax error\n" },
{ "X57", VM("\towner 99999999999999999999"),
  "3: \"99999999999999999999\" invalid number: too large\n" },
{ "X58", VM("\tlocked lladdr 02:00:00:00:00:01"), "3: syntax error\n" },
{ "X59", "vm a {\n\tdisk ~/a.img\n}\n", "2: syntax error\n" },
{ "X59 dot", "vm a {\n\tdisk ./a.img\n}\n", "2: syntax error\n" },
{ "X60", VM("\tkernel \"/bsd\""), "3: syntax error\n" },
{ "X60 nifs", VM("\tnifs 2"), "3: syntax error\n" },
{ "X60 add", VM("\tadd vether0"), "3: syntax error\n" },
{ "X61", VM("\tdisk \"/a.img\" format"), "3: syntax error\n" },
{ "X62", "vm a {\r\n\tdisk /x\r\n}\r\n", "1: syntax error\n" },
{ "X63", "vm aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa {\n"
  "}\n", "1: vm name too long\n" },

{ "new words are names", "switch limit {\n\tinterface bridge0\n}\n"
  "vm cpus {\n\tdisk /x\n\towner user\n\tinterface { switch limit }\n}\n"
  "vm template {\n\tdisk /x\n}\nserial = \"x\"\nvm initrd {\n"
  "\tdisk $serial\n}\n", "" },
{ "cpus range", VM("\tcpus 0"), "3: invalid cpus: 0: must be 1 to 64\n" },
{ "cpus range 2", VM("\tcpus 65"), "3: invalid cpus: 65: must be 1 to 64\n" },
{ "restart", VM("\trestart sometimes"), "*: invalid restart: sometimes: *" },
{ "stop timeout", VM("\tstop timeout 0"), "3: invalid stop timeout: 0: *" },
{ "id", VM("\tid 0"), "3: invalid id: 0: *" },
{ "same id", "vm a {\n\tdisk /x\n\tid 7\n}\nvm b {\n\tdisk /x\n\tid 7\n}\n",
  "5: vm \"b\" failed: id 7 is that of vm \"a\"\n" },
{ "same address", "vm a {\n\tdisk /x\n\tinterface lladdr 02:00:00:00:00:01\n}\n"
  "vm b {\n\tdisk /x\n\tinterface lladdr 02:00:00:00:00:01\n}\n",
  "5: vm \"b\" failed: interface 0 has the address of one of vm \"a\"\n" },
{ "serial", VM("\tdisk /y serial \"012345678901234567890\""),
  "3: invalid disk serial: *" },
{ "initrd alone", VM("\tinitrd /i"),
  "1: vm \"a\" failed: initrd without a kernel\n" },
{ "limit", "limit user joe {\n\tcpus 4\n\tmemory 4G\n\tinterfaces 4 vms 2\n}\n",
  "" },
{ "limit group", "limit group vmusers { vms 1 }\n", "" },
{ "limit nobody", "limit user nobodyatall { vms 1 }\n",
  "1: failed to get user: nobodyatall\n" },
{ "two errors", "mem = 512\nvm a {\n\tdisk /x\n}\nstaggered\n",
  "1: syntax error\n5: syntax error\n" },
{ "one for a broken block", "vm a {\n\tfoo\n\tdisk /x\n\tmemory 1G\n}\n"
  "vm b {\n\tdisk /x\n}\n", "2: syntax error\n" },
{ "unused macro", "a = \"b\"\n", "0: warning: macro 'a' not used\n" },
{ "macro of a macro", "a = \"$b\"\nvm x {\n\tdisk $a\n}\n",
  "3: syntax error\n" },
{ "macro of many words", "opts = \"memory 1G cpus 2\"\nvm x {\n\tdisk /x\n"
  "\t$opts\n}\n", "" },
{ "macro in a word", "dir = /vm\nvm x {\n\tdisk $dir/a.img\n}\n", "" },
{ "joined lines", "vm x { \\\ndisk \\\n/x \\\n}\n", "" },
{ "comment swallows", "# a comment \\\nvm x {\nvm y { disk /x }\n", "" },
{ "nul", "vm \"\1\" {\n\tdisk /x\n}\n", "1: vm *" },
{ "rounded", VM("\tmemory 1073741823"),
  "3: warning: memory size rounded to 1023M\n" },
};
/* clang-format on */

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

static int
has_error(const char *says)
{
	for (; *says != '\0';
	     says += strcspn(says, "\n"), says += *says == '\n')
		if (strstr(says, ": warning: ") == NULL ||
		    strchr(says, '\n') < strstr(says, ": warning: "))
			return 1;
	return 0;
}

static void
test_samples(void **state)
{
	const struct sample *s;
	struct conf *c;
	int bad = 0;

	for (s = samples; s < samples + sizeof(samples) / sizeof(samples[0]);
	     s++) {
		c = load(s->text, NULL);
		if (!matches(s->says, said) ||
		    (c == NULL) != has_error(s->says)) {
			printf("# %s: said:\n# %s# expected:\n# %s\n", s->id,
			    said, s->says);
			bad++;
		}
		conf_free(c);
	}
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
		 "staggered start parallel 4 delay 9\n"
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
	assert_int_equal(TAILQ_FIRST(&c->limits)->id, 1001);
	assert_int_equal(TAILQ_FIRST(&c->limits)->memory, 1 << 30);
	assert_int_equal(TAILQ_FIRST(&c->limits)->vms, 2);
	assert_string_equal(TAILQ_FIRST(&c->switches)->ifname, "veb3");
	assert_int_equal(TAILQ_FIRST(&c->switches)->flags,
	    SWITCHF_LOCKED | SWITCHF_RDOMAIN);
	assert_null(TAILQ_NEXT(TAILQ_FIRST(&c->switches), entry));
	conf_free(c);
}

/* X10 and X13: the 17th. */
static void
test_too_many(void **state)
{
	char text[4096];
	struct conf *c;
	int i, n, kind;

	for (kind = 0; kind < 2; kind++)
		for (n = 16; n <= 17; n++) {
			strcpy(text, "vm a {\n\tboot /k\n");
			for (i = 0; i < n; i++)
				strcat(text,
				    kind ? "\tinterface\n" : "\tdisk /x\n");
			strcat(text, "}\n");
			c = load(text, NULL);
			assert_int_equal(c == NULL, n == 17);
			if (n == 17)
				assert_non_null(strstr(said,
				    kind ? "19: too many interfaces: 17" :
					   "19: too many disks"));
			conf_free(c);
		}
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

/* X56: a token of 8095 bytes is the longest. */
static void
test_long_token(void **state)
{
	char *text = malloc(10000);
	struct conf *c;
	int n;

	for (n = 4000; n <= 8200; n += 4200) {
		sprintf(text, "vm a {\n\tboot /k\n\tdisk \"/");
		memset(text + strlen(text), 'x', (size_t)n);
		strcpy(text + 24 + n, "\"\n}\n");
		c = load(text, NULL);
		assert_int_equal(c == NULL, n > 8000);
		if (n > 8000)
			assert_string_equal(said, "3: string too long\n");
		conf_free(c);
	}
	free(text);
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

/* X11 and X39, and what is no more than a warning. */
static void
test_check(void **state)
{
	struct conf_opts o = { .report = report, .flags = CONF_DRYRUN };
	struct conf *c;

	c = load("vm a {\n\tboot /no/kernel\n\tdisk /no/such\n}\n"
		 "vm t {\n\tdisable\n\tdisk /dev/null\n}\n",
	    NULL);
	said[0] = '\0';
	assert_int_equal(conf_check(c, &o), 2);
	assert_true(
	    matches("1: vm \"a\": kernel path not found: /no/kernel: *\n"
		    "1: vm \"a\": failed to parse disks: /no/such: *\n"
		    "5: warning: vm \"t\": disk /dev/null *\n",
		said));
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
	char path[256];

	snprintf(path, sizeof(path), "%s/vm.conf", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/b.conf", dir);
	unlink(path);
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_full_vm),
		cmocka_unit_test(test_global),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_macros),
		cmocka_unit_test(test_long_token),
		cmocka_unit_test(test_includes),
		cmocka_unit_test(test_macro_bomb),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_check),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
