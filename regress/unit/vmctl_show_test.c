/*
 * What vmctl shows of a daemon that says what the test wants: the table byte
 * for byte, JSON, and answers that no good daemon sends.
 */

#include <netinet/in.h>

#include "lib/proto/devmsg.h"
#include "regress/unit/vmctl_info.h"

#define ROW1                                                                   \
	"    1  4711     4    1.0G    300M   pts/7   root:54322  "             \
	"running web1\n"
#define ROW2                                                                   \
	"   22     -     1    512M       -       -        54321  "             \
	"stopped db\n"

#define STATE(id, word)                                                        \
	"    " id "     -     1    512M       -       -        54321 " word    \
	" a\n"

/* One with a disk that is known, one that is not, and a disc. */
static int
with_devices(struct request *r)
{
	const struct vmop_result ok = { 0 };
	struct vm_info i = full_info();
	struct dev_stats *d;
	size_t n;

	i.spec->ndisks = 2;
	i.spec->disks[0].path = strdup("/var/a b\033");
	i.spec->disks[0].serial = strdup("no 1");
	i.spec->disks[0].layers = 3;
	i.spec->disks[0].qcow2 = 7;
	i.spec->disks[1].path = strdup("/dev/sdb");
	i.spec->disks[1].layers = 1;
	i.spec->cdrom = strdup("/cd.iso");
	i.has_devs = 1;
	d = dev_list_add(&i.devs, DEV_VIOBLK, 0);
	d->state = DEVST_RUNNING;
	d->replaced = 2;
	d->size = 20ULL << 30;
	d->counted = 1;
	for (n = 0; n < DEVS_COUNTERS; n++)
		d->counts[n] = 1000 + n;
	dev_list_add(&i.devs, DEV_VIOBLK, 1);
	d = dev_list_add(&i.devs, DEV_VIOSCSI, 0);
	d->state = DEVST_GONE;
	/* What the daemon has no disk for is not there. */
	dev_list_add(&i.devs, DEV_VIOBLK, 2);
	dev_list_add(&i.devs, DEV_VIONET, 0);
	send_vm(r, &i);
	fake_result(r, END, &ok, -1);
	vm_spec_free(i.spec);
	return 0;
}

static void
local_nic(struct nic_spec *n)
{
	n->flags = NICF_UP | NICF_LOCAL | NICF_NAT;
	n->nforwards = 1;
	n->forwards[0] = (struct net_forward){ IPPROTO_UDP, 5353, 53 };
	n->group = strdup("guests");
	strcpy(n->net.ifname, "tap3");
	memcpy(n->net.mac, "\xfe\xe1\xbb\1\2\3", 6);
	n->net.mtu = 1500;
	n->net.host4 = 0x64400102;
	n->net.guest4 = 0x64400103;
	n->net.host6[0] = n->net.guest6[0] = 0xfd;
	n->net.host6[15] = 1;
	n->net.guest6[15] = 2;
	n->net.ndns4 = n->net.ndns6 = 1;
	n->net.dns4[0] = 0x08080808;
	n->net.dns6[0][0] = 0x20;
}

/* A local interface that has counted, one on a switch, two of user mode. */
static int
with_nics(struct request *r)
{
	const struct vmop_result ok = { 0 };
	struct vm_info i = full_info();
	struct dev_stats *d;
	size_t n;

	i.spec->nnics = 4;
	local_nic(&i.spec->nics[0]);
	i.spec->nics[1].sw = strdup("my lan");
	i.spec->nics[2].flags = i.spec->nics[3].flags = NICF_USER;
	i.has_devs = 1;
	d = dev_list_add(&i.devs, DEV_VIONET, 0);
	d->state = DEVST_RUNNING;
	d->replaced = 1;
	d->counted = 1;
	for (n = DEVS_RX_FRAMES; n < DEVS_LEASE; n++)
		d->counts[n] = 1000 + n - DEVS_RX_FRAMES;
	d->counts[DEVS_LEASE] = DEV_COUNT_MAX;
	d = dev_list_add(&i.devs, DEV_VIONET, 1);
	d->state = DEVST_GONE;
	d->counted = 1;
	d->counts[DEVS_LEASE] = 1;   /* long ago */
	d->counts[DEVS_ADDRESS] = 1; /* not for it to say */
	d = dev_list_add(&i.devs, DEV_VIONET, 3);
	d->state = DEVST_RUNNING;
	d->counted = 1;
	d->counts[DEVS_ADDRESS] = 0xc0a80105;
	d->counts[DEVS_LEASE] = DEV_COUNT_MAX;
	send_vm(r, &i);
	fake_result(r, END, &ok, -1);
	vm_spec_free(i.spec);
	return 0;
}

/* One VM in each state. */
static int
every_state(struct request *r)
{
	const struct vmop_result ok = { 0 };
	struct vm_info i = { 0 };
	uint32_t s;

	for (s = 0; s < VMS_MAX; s++) {
		i.state = s;
		i.spec = vm_spec_new("a");
		i.spec->id = s + 1;
		i.spec->uid = 54321;
		send_vm(r, &i);
		vm_spec_free(i.spec);
	}
	fake_result(r, END, &ok, -1);
	return 0;
}

static void
table(void **state)
{
	assert_int_equal(vmctl(list, "status"), 0);
	assert_string_equal(out, HEADER ROW1 ROW2);
	assert_string_equal(err, "");
	assert_int_equal(vmctl(list, "show -r"), 0);
	assert_string_equal(out, HEADER ROW1);
	/* The words that programs know, and no others. */
	assert_int_equal(vmctl(every_state, "status"), 0);
	assert_string_equal(out,
	    HEADER STATE("1", " stopped") STATE("2", " waiting")
		STATE("3", " running") STATE("4", " running")
		    STATE("5", "  paused") STATE("6", "stopping"));
	assert_int_equal(vmctl(every_state, "status -j"), 0);
	assert_non_null(strstr(out,
	    "\"id\":3,\"name\":\"a\","
	    "\"state\":\"starting\""));
	assert_int_equal(vmctl(nothing, "stat"), 0);
	assert_string_equal(out, HEADER);
}

/* One that waits for vmctl, one that never starts by itself. */
static int
held(struct request *r)
{
	const struct vmop_result ok = { 0 };
	struct vm_info i = { .held = 1 };

	i.spec = vm_spec_new("a");
	i.spec->id = 1;
	i.spec->uid = 54321;
	i.spec->flags = VMF_DISABLED;
	send_vm(r, &i);
	i.held = 0;
	send_vm(r, &i);
	vm_spec_free(i.spec);
	fake_result(r, END, &ok, -1);
	return 0;
}

static void
disabled(void **state)
{
	assert_int_equal(vmctl(held, "status"), 0);
	assert_string_equal(out,
	    HEADER STATE("1", "disabled") STATE("1", " stopped"));
	assert_int_equal(vmctl(held, "status -j"), 0);
	assert_non_null(strstr(out, "\"state\":\"stopped\""));
	assert_non_null(strstr(out, "\"disabled\":\"vmctl\""));
	assert_non_null(strstr(out, "\"disabled\":\"configuration\""));
}

static void
json(void **state)
{
	static const char row1[] =
	    "{\"id\":1,\"name\":\"web1\",\"state\":\"running\",\"pid\":4711,"
	    "\"vcpus\":4,\"memory\":1073741824,\"resident\":314572800,"
	    "\"tty\":\"/dev/pts/7\",\"owner\":\"root:54322\","
	    "\"started\":1600000000,\"exit\":\"reset\","
	    "\"exit_text\":\"by \\\"0xcf9\\\"\","
	    "\"error\":\"boot /x: \\u001B[2J\",\"pending\":\"changed\","
	    "\"disabled\":null,"
	    "\"file\":\"/etc/vm.conf\",\"line\":12,\"devices\":null,"
	    "\"interfaces\":null}\n";
	static const char row2[] =
	    "{\"id\":22,\"name\":\"db\",\"state\":\"stopped\",\"pid\":null,"
	    "\"vcpus\":1,\"memory\":536870912,\"resident\":null,"
	    "\"tty\":null,\"owner\":\"54321\",\"started\":null,"
	    "\"exit\":null,\"exit_text\":null,\"error\":null,"
	    "\"pending\":null,\"disabled\":null,\"file\":null,"
	    "\"line\":null,"
	    "\"devices\":null,\"interfaces\":null}\n";
	char both[2048];

	snprintf(both, sizeof(both), "%s%s", row1, row2);
	assert_int_equal(vmctl(list, "status -j"), 0);
	assert_string_equal(out, both);
	assert_int_equal(vmctl(list, "-j status"), 0);
	assert_string_equal(out, both);
	assert_int_equal(vmctl(nothing, "-j status"), 0);
	assert_string_equal(out, "");
}

/* The end of its JSON, and the table. */
static void
shows(fake_fn fn, const char *end, const char *table)
{
	const char *p;

	assert_int_equal(vmctl(fn, "show -j"), 0);
	assert_non_null(p = strstr(out, "\"devices\""));
	assert_string_equal(p, end);
	assert_int_equal(vmctl(fn, "show web1"), 0);
	assert_string_equal(out, table);
}

static void
devices(void **state)
{
	static const char json[] =
	    "\"devices\":[{\"name\":\"vioblk0\","
	    "\"path\":\"/var/a b\\u001B\",\"format\":\"qcow2\","
	    "\"read_only\":false,\"serial\":\"no 1\",\"layers\":3,"
	    "\"size\":21474836480,\"state\":\"running\",\"replaced\":2,"
	    "\"reads\":1000,\"writes\":1001,\"read_bytes\":1002,"
	    "\"written_bytes\":1003,\"flushes\":1004,\"errors\":1005},"
	    "{\"name\":\"vioblk1\",\"path\":\"/dev/sdb\","
	    "\"format\":\"raw\",\"read_only\":false,\"serial\":null,"
	    "\"layers\":1,\"size\":null,\"state\":null,"
	    "\"replaced\":null,\"reads\":null,\"writes\":null,"
	    "\"read_bytes\":null,\"written_bytes\":null,"
	    "\"flushes\":null,\"errors\":null},"
	    "{\"name\":\"vioscsi\",\"path\":\"/cd.iso\","
	    "\"format\":\"raw\",\"read_only\":true,\"serial\":null,"
	    "\"layers\":1,\"size\":null,\"state\":\"gone\","
	    "\"replaced\":0,\"reads\":null,\"writes\":null,"
	    "\"read_bytes\":null,\"written_bytes\":null,"
	    "\"flushes\":null,\"errors\":null}],\"interfaces\":[]}\n";
	static const char table[] = HEADER ROW1
	    "\n"
	    "DEVICE      STATE REPLACED    SIZE FORMAT LAYERS MODE     READS"
	    "    WRITES    READ WRITTEN FLUSHES ERRORS SERIAL PATH\n"
	    "vioblk0   running        2     20G  qcow2      3   rw      1000"
	    "      1001   1002B   1003B    1004   1005 no_1 /var/a_b\\^[\n"
	    "vioblk1         -        -       -    raw      1   rw         -"
	    "         -       -       -       -      - - /dev/sdb\n"
	    "vioscsi      gone        0       -    raw      1   ro         -"
	    "         -       -       -       -      - - /cd.iso\n";

	shows(with_devices, json, table);
}

static void
interfaces(void **state)
{
	static const char json[] =
	    "\"devices\":[],\"interfaces\":[{\"name\":\"vionet0\","
	    "\"mode\":\"local\",\"interface\":\"tap3\",\"switch\":null,"
	    "\"group\":\"guests\",\"mac\":\"fe:e1:bb:01:02:03\","
	    "\"mtu\":1500,\"address\":\"100.64.1.3\","
	    "\"address6\":\"fd00::2\",\"host_address\":\"100.64.1.2\","
	    "\"host_address6\":\"fd00::1\","
	    "\"dns\":[\"8.8.8.8\",\"2000::\"],\"nat\":true,"
	    "\"forwards\":[{\"protocol\":\"udp\",\"port\":5353,"
	    "\"to\":53}],\"state\":\"running\",\"replaced\":1,"
	    "\"received_frames\":1000,\"sent_frames\":1001,"
	    "\"received_bytes\":1002,\"sent_bytes\":1003,"
	    "\"received_drops\":1004,\"sent_drops\":1005,"
	    "\"lease\":9223372036854775807},"
	    "{\"name\":\"vionet1\",\"mode\":\"switch\","
	    "\"interface\":null,\"switch\":\"my lan\",\"group\":null,"
	    "\"mac\":null,\"mtu\":null,\"address\":null,"
	    "\"address6\":null,\"host_address\":null,"
	    "\"host_address6\":null,\"dns\":[],\"nat\":false,"
	    "\"forwards\":[],\"state\":\"gone\",\"replaced\":0,"
	    "\"received_frames\":0,\"sent_frames\":0,"
	    "\"received_bytes\":0,\"sent_bytes\":0,"
	    "\"received_drops\":0,\"sent_drops\":0,\"lease\":1},"
	    "{\"name\":\"vionet2\",\"mode\":\"user\","
	    "\"interface\":null,\"switch\":null,\"group\":null,"
	    "\"mac\":null,\"mtu\":null,\"address\":null,"
	    "\"address6\":null,\"host_address\":null,"
	    "\"host_address6\":null,\"dns\":[],\"nat\":false,"
	    "\"forwards\":[],\"state\":null,\"replaced\":null,"
	    "\"received_frames\":null,\"sent_frames\":null,"
	    "\"received_bytes\":null,\"sent_bytes\":null,"
	    "\"received_drops\":null,\"sent_drops\":null,"
	    "\"lease\":null},"
	    "{\"name\":\"vionet3\",\"mode\":\"user\","
	    "\"interface\":null,\"switch\":null,\"group\":null,"
	    "\"mac\":null,\"mtu\":null,\"address\":\"192.168.1.5\","
	    "\"address6\":null,\"host_address\":null,"
	    "\"host_address6\":null,\"dns\":[],\"nat\":false,"
	    "\"forwards\":[],\"state\":\"running\",\"replaced\":0,"
	    "\"received_frames\":0,\"sent_frames\":0,"
	    "\"received_bytes\":0,\"sent_bytes\":0,"
	    "\"received_drops\":0,\"sent_drops\":0,"
	    "\"lease\":9223372036854775807}]}\n";
	static const char table[] = HEADER ROW1
	    "\n"
	    "INTERFACE   STATE REPLACED MODE   TAP             MAC         "
	    "      ADDRESS                RX        TX RXBYTES TXBYTES   DROPS "
	    "  LEASE SWITCH          ADDRESS6\n"
	    "vionet0   running        1 local  tap3            "
	    "fe:e1:bb:01:02:03 100.64.1.3           1000      1001   1002B"
	    "   1003B    2009 forever -               fd00::2\n"
	    "vionet1      gone        0 switch -               -          "
	    "       -                       0         0      0B      0B       0"
	    "       - my_lan          -\n"
	    "vionet2         -        - user   -               -          "
	    "       -                       -         -       -       -       -"
	    "       - -               -\n"
	    "vionet3   running        0 user   -               -          "
	    "       192.168.1.5             0         0      0B      0B       0"
	    " forever -               -\n";

	shows(with_nics, json, table);
}

/* How much of a good answer is sent, what is put in it, and its type. */
static size_t bad_len;
static size_t bad_at;
static uint32_t bad_type;

static int
hostile(struct request *r)
{
	struct vm_info i = full_info();
	struct ibuf *b = ibuf_dynamic(0, MSG_MAXSIZE);
	unsigned char *p;
	size_t len;

	if (b == NULL || vm_info_put(b, &i) == -1)
		_exit(99);
	p = ibuf_data(b);
	len = ibuf_size(b);
	if (bad_at < len)
		p[bad_at] ^= 0xff;
	fake_send(r, bad_type, p, len < bad_len ? len : bad_len, -1);
	ibuf_free(b);
	vm_spec_free(i.spec);
	return -1; /* it must not wait for more */
}

static void
bad_answers(void **state)
{
	static const char *const lines[] = { "status -j", "pause a", "start a",
		"stop a", "wait a", "reload", "host", "console a" };
	size_t i;

	bad_at = SIZE_MAX;
	bad_type = IMSG_VMDOP_GET_INFO_VM_DATA;
	for (bad_len = 0; bad_len < 330; bad_len += 3)
		assert_int_not_equal(vmctl(hostile, "status"), 0);
	bad_len = SIZE_MAX;
	for (bad_at = 0; bad_at < 330; bad_at += 3)
		vmctl(hostile, "status");
	bad_at = SIZE_MAX;
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		for (bad_type = 0; bad_type <= IMSG_TYPE_MAX; bad_type += 3) {
			bad_len = bad_type % 2 ? 400 : 20;
			assert_int_not_equal(vmctl(hostile, lines[i]), 0);
		}
}

/* An answer to somebody else, and one that is no message at all. */
static int
stranger(struct request *r)
{
	const struct vmop_result ok = { 0 };
	uint64_t mine = r->reqid;

	r->reqid = mine + 1;
	fake_result(r, END, &ok, -1);
	r->reqid = mine;
	return list(r);
}

static int
noise(struct request *r)
{
	char junk[512];

	memset(junk, 0xa5, sizeof(junk));
	if (write(r->ib->fd, junk, sizeof(junk)) == -1)
		_exit(95);
	return -1;
}

static void
strange_answers(void **state)
{
	assert_int_equal(vmctl(stranger, "status"), 0);
	assert_string_equal(out, HEADER ROW1 ROW2);
	assert_int_equal(vmctl(noise, "status"), 7);
	assert_int_equal(vmctl(noise, "start a"), 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table),
		cmocka_unit_test(json),
		cmocka_unit_test(disabled),
		cmocka_unit_test(devices),
		cmocka_unit_test(interfaces),
		cmocka_unit_test(bad_answers),
		cmocka_unit_test(strange_answers),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, fake_setup, fake_teardown);
}
