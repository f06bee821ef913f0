/*
 * The specification of a VM on the wire: everything arrives, nothing out of
 * range does, and no allocation that fails leaks or crashes.
 */

#include "regress/unit/proto_test.h"

#include <netinet/in.h>

#include "lib/proto/vmspec.h"
#include "lib/proto/wire.h"

/* --- memory that runs out ----------------------------------------------- */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
char *__wrap_strdup(const char *s);

static long left = -1; /* allocations until one fails, -1: none does */

static int
out_of_memory(void)
{
	if (left == -1 || left-- > 0)
		return 0;
	left = -1;
	errno = ENOMEM;
	return 1;
}

void *
__wrap_malloc(size_t n)
{
	return out_of_memory() ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return out_of_memory() ? NULL : __real_calloc(n, size);
}

char *
__wrap_strdup(const char *s)
{
	return out_of_memory() ? NULL : __real_strdup(s);
}

/* --- a spec with all fields different ------------------------------------ */

/* An interface as the parent has resolved it. */
static void
fill_net(struct net_conf *n)
{
	n->flags = NETF_LOCAL | NETF_INET6;
	n->mtu = 9000;
	n->pairs = 2;
	n->lease = NET_LEASE;
	memcpy(n->mac, "\xfe\xe1\xbb\1\2\3", 6);
	memcpy(n->host_mac, "\xfe\xe1\xba\1\2\3", 6);
	n->host4 = 0x64400102;
	n->guest4 = 0x64400103;
	n->host6[15] = 1;
	n->guest6[0] = 0xfd;
	n->ndns4 = n->ndns6 = n->nntp4 = NET_MAX_SERVERS;
	n->dns4[2] = 0x08080808;
	n->ntp4[0] = 0x0a000001;
	memset(n->dns6[1], 0x11, sizeof(n->dns6[1]));
	strcpy(n->ifname, "tap3");
	strcpy(n->host, "web1");
	strcpy(n->domain, "example.org");
}

static void
fill_devices(struct vm_spec *s)
{
	struct nic_spec *n;

	s->ndisks = 2;
	s->disks[0].path = strdup("/vm/a.img");
	s->disks[0].serial = strdup("12345678901234567890");
	s->disks[0].format = DISK_QCOW2;
	s->disks[0].flags = DISKF_READONLY;
	s->disks[0].layers = 3;
	s->disks[0].qcow2 = 0x3;
	s->disks[1].path = strdup("/vm/b.img");
	s->disks[1].format = DISK_RAW;
	s->nnics = 2;
	n = &s->nics[0];
	n->ifname = strdup("tap12");
	n->sw = strdup("uplink");
	n->group = strdup("guests");
	n->flags = NICF_UP | NICF_LOCKED | NICF_RDOMAIN;
	n->rdomain = 77;
	n->mtu = NET_MAX_MTU;
	n->nforwards = 2;
	n->forwards[0] = (struct net_forward){ IPPROTO_TCP, 8080, 80 };
	n->forwards[1] = (struct net_forward){ IPPROTO_UDP, 65535, 1 };
	fill_net(&n->net);
	memcpy(n->lladdr, "\xfe\xe1\xbb\1\2\3", 6);
	n = &s->nics[1];
	n->flags = NICF_LOCAL | NICF_LLADDR;
	memcpy(n->lladdr, "\xfe\xe1\xbb\4\5\6", 6);
}

static struct vm_spec *
sample(void)
{
	struct vm_spec *s = vm_spec_new("web1");

	s->parent = strdup("template");
	s->boot = strdup("/bsd");
	s->initrd = strdup("/initrd");
	s->cmdline = strdup("console=ttyS0 root=/dev/vda");
	s->cdrom = strdup("/cd.iso");
	s->console_log = strdup("/log");
	s->file = strdup("/etc/vm.conf");
	s->line = 11;
	s->given = VMGIVEN_CPUS | VMGIVEN_CMDLINE;
	s->flags = VMF_DISABLED | VMF_PROBE;
	s->id = 12;
	s->generation = 0x1122334455667788ULL;
	s->cpus = 13;
	s->memory = 0x123456000ULL;
	s->uid = 1000;
	s->gid = 1001;
	s->ins_uid = 1002;
	s->ins_gid = 0;
	s->ins_flags = INSF_BOOT | INSF_OWNER;
	s->bootdev = BOOTDEV_CDROM;
	s->restart = RESTART_ALWAYS;
	s->stop_timeout = 14;
	s->min_nics = 15;
	fill_devices(s);
	return s;
}

static struct ibuf *
encode(const struct vm_spec *s)
{
	struct ibuf *b = ibuf_dynamic(0, BODY_MAX);

	assert_non_null(b);
	assert_int_equal(vm_spec_put(b, s), 0);
	return b;
}

static int
decode(struct ibuf *b)
{
	struct vm_spec *s = vm_spec_get(b);

	vm_spec_free(s);
	return s == NULL ? -1 : 0;
}

static void
same_str(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		assert_ptr_equal(a, b);
	else
		assert_string_equal(a, b);
}

static void
same_nic(const struct nic_spec *a, const struct nic_spec *b)
{
	uint32_t i;

	same_str(a->ifname, b->ifname);
	same_str(a->sw, b->sw);
	same_str(a->group, b->group);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->rdomain, b->rdomain);
	assert_int_equal(a->mtu, b->mtu);
	assert_memory_equal(a->lladdr, b->lladdr, 6);
	assert_int_equal(a->nforwards, b->nforwards);
	for (i = 0; i < a->nforwards; i++) {
		assert_int_equal(a->forwards[i].proto, b->forwards[i].proto);
		assert_int_equal(a->forwards[i].port, b->forwards[i].port);
		assert_int_equal(a->forwards[i].to, b->forwards[i].to);
	}
	assert_memory_equal(&a->net, &b->net, sizeof(a->net));
}

static void
same_devices(const struct vm_spec *a, const struct vm_spec *b)
{
	uint32_t i;

	for (i = 0; i < a->ndisks; i++) {
		same_str(a->disks[i].path, b->disks[i].path);
		same_str(a->disks[i].serial, b->disks[i].serial);
		assert_int_equal(a->disks[i].format, b->disks[i].format);
		assert_int_equal(a->disks[i].flags, b->disks[i].flags);
		assert_int_equal(a->disks[i].layers, b->disks[i].layers);
		assert_int_equal(a->disks[i].qcow2, b->disks[i].qcow2);
	}
	for (i = 0; i < a->nnics; i++)
		same_nic(&a->nics[i], &b->nics[i]);
}

static void
same(const struct vm_spec *a, const struct vm_spec *b)
{
	same_str(a->name, b->name);
	same_str(a->parent, b->parent);
	same_str(a->boot, b->boot);
	same_str(a->initrd, b->initrd);
	same_str(a->cmdline, b->cmdline);
	same_str(a->cdrom, b->cdrom);
	same_str(a->console_log, b->console_log);
	same_str(a->file, b->file);
	assert_int_equal(a->line, b->line);
	assert_int_equal(a->given, b->given);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->id, b->id);
	assert_true(a->generation == b->generation);
	assert_int_equal(a->cpus, b->cpus);
	assert_true(a->memory == b->memory);
	assert_true(a->uid == b->uid && a->gid == b->gid);
	assert_true(a->ins_uid == b->ins_uid && a->ins_gid == b->ins_gid);
	assert_int_equal(a->ins_flags, b->ins_flags);
	assert_int_equal(a->bootdev, b->bootdev);
	assert_int_equal(a->restart, b->restart);
	assert_int_equal(a->stop_timeout, b->stop_timeout);
	assert_int_equal(a->min_nics, b->min_nics);
	assert_int_equal(a->ndisks, b->ndisks);
	assert_int_equal(a->nnics, b->nnics);
	same_devices(a, b);
}

static void
round_trip(void **state)
{
	struct vm_spec *s = sample(), *got, *plain = vm_spec_new("x");
	struct ibuf *b = encode(s);

	assert_non_null(got = vm_spec_get(b));
	assert_int_equal(wire_end(b), 0);
	same(s, got);
	vm_spec_free(got);
	ibuf_free(b);
	b = encode(plain);
	assert_non_null(got = vm_spec_get(b));
	same(plain, got);
	assert_true(got->gid == VM_GID_NONE && got->ins_gid == VM_GID_NONE);
	assert_int_equal(got->stop_timeout, VM_STOP_TIMEOUT);
	vm_spec_free(got);
	ibuf_free(b);
	vm_spec_free(plain);
	vm_spec_free(s);
}

static void
copies(void **state)
{
	struct vm_spec *s = sample(), *c = vm_spec_copy(s);

	same(s, c);
	assert_ptr_not_equal(s->name, c->name);
	assert_ptr_not_equal(s->disks[1].path, c->disks[1].path);
	vm_spec_free(s);
	assert_string_equal(c->nics[0].sw, "uplink");
	vm_spec_free(c);
	vm_spec_free(NULL);
	assert_non_null(c = vm_spec_new(NULL));
	assert_null(c->name);
	vm_spec_free(c);
}

static void
truncated(void **state)
{
	struct vm_spec *s = sample();
	struct ibuf *b = encode(s);

	check_truncation(b, decode);
	ibuf_free(b);
	vm_spec_free(s);
}

/* --- out of range -------------------------------------------------------- */

static void
refused(struct vm_spec *s, int err)
{
	struct ibuf *b = encode(s);

	assert_int_equal(decode_part(b, ibuf_size(b), decode), -1);
	assert_int_equal(errno, err);
	ibuf_free(b);
	vm_spec_free(s);
}

static void
accepted(struct vm_spec *s)
{
	struct ibuf *b = encode(s);

	assert_int_equal(decode_part(b, ibuf_size(b), decode), 0);
	ibuf_free(b);
	vm_spec_free(s);
}

/* A sample with one field changed. */
#define WITH(field, value)                                                     \
	({                                                                     \
		struct vm_spec *with = sample();                               \
		with->field = value;                                           \
		with;                                                          \
	})

static void
numbers(void **state)
{
	refused(WITH(given, 0x400), EBADMSG);
	refused(WITH(flags, 0x20), EBADMSG);
	refused(WITH(ins_flags, 0x80), EBADMSG);
	refused(WITH(cpus, VM_MAX_CPUS + 1), EBADMSG);
	accepted(WITH(cpus, VM_MAX_CPUS));
	accepted(WITH(cpus, 0));
	refused(WITH(memory, VM_MIN_MEMORY - 1), EBADMSG);
	refused(WITH(memory, VM_MEMORY_UNIT), EBADMSG);
	accepted(WITH(memory, VM_MIN_MEMORY));
	refused(WITH(memory, VM_MAX_MEMORY + 1), EBADMSG);
	refused(WITH(memory, UINT64_MAX), EBADMSG);
	accepted(WITH(memory, VM_MAX_MEMORY));
	accepted(WITH(memory, 0));
	refused(WITH(uid, UINT32_MAX), EBADMSG);
	refused(WITH(uid, 1ULL << 32), EBADMSG);
	accepted(WITH(uid, UINT32_MAX - 1));
	refused(WITH(gid, UINT32_MAX), EBADMSG);
	refused(WITH(gid, -2), EBADMSG);
	refused(WITH(ins_uid, UINT64_MAX), EBADMSG);
	refused(WITH(ins_gid, INT64_MIN), EBADMSG);
	refused(WITH(bootdev, BOOTDEV_MAX), EBADMSG);
	refused(WITH(restart, RESTART_MAX), EBADMSG);
	refused(WITH(stop_timeout, VM_STOP_TIMEOUT_MAX + 1), EBADMSG);
	refused(WITH(min_nics, VM_MAX_NICS + 1), EBADMSG);
	refused(WITH(disks[1].format, DISK_FORMAT_MAX), EBADMSG);
	refused(WITH(disks[1].flags, 0x02), EBADMSG);
	refused(WITH(disks[0].layers, VM_MAX_LAYERS + 1), EBADMSG);
	refused(WITH(disks[0].qcow2, 0x8), EBADMSG);
	refused(WITH(disks[1].qcow2, 0x1), EBADMSG);
}

static void
nics(void **state)
{
	refused(WITH(nics[1].flags, 0x100), EBADMSG);
	accepted(WITH(nics[1].flags, 0xff));
	refused(WITH(nics[1].mtu, NET_MIN_MTU - 1), EBADMSG);
	refused(WITH(nics[1].mtu, NET_MAX_MTU + 1), EBADMSG);
	accepted(WITH(nics[1].mtu, NET_MIN_MTU));
	refused(WITH(nics[0].forwards[1].proto, 0), EBADMSG);
	refused(WITH(nics[0].forwards[1].proto, IPPROTO_ICMP), EBADMSG);
	refused(WITH(nics[0].forwards[0].port, 0), EBADMSG);
	refused(WITH(nics[0].forwards[0].to, 0), EBADMSG);
	refused(WITH(nics[0].net.flags, NETF_ALL + 1), EBADMSG);
	refused(WITH(nics[0].net.pairs, NET_MAX_PAIRS + 1), EBADMSG);
	refused(WITH(nics[0].net.mtu, NET_MIN_MTU - 1), EBADMSG);
	refused(WITH(nics[0].net.mtu, NET_MAX_MTU + 1), EBADMSG);
	accepted(WITH(nics[0].net.mtu, 0));
}

/* Bytes of a struct net_conf that has nothing. */
static size_t
net_size(void)
{
	static const struct net_conf none;
	struct ibuf *b = ibuf_dynamic(0, BODY_MAX);
	size_t n;

	assert_int_equal(net_conf_put(b, &none), 0);
	n = ibuf_size(b);
	ibuf_free(b);
	return n;
}

/* The most forwards of one interface, and a count of one more. */
static void
nic_counts(void **state)
{
	const struct net_forward f = { IPPROTO_TCP, 1, 1 };
	struct vm_spec *s = vm_spec_new("x");
	uint32_t i, lie = NET_MAX_FORWARDS + 1;
	struct ibuf *b;
	size_t len, at;

	s->nnics = 1;
	b = encode(s);
	len = ibuf_size(b);
	ibuf_free(b);
	s->nics[0].nforwards = NET_MAX_FORWARDS;
	for (i = 0; i < NET_MAX_FORWARDS; i++)
		s->nics[0].forwards[i] = f;
	b = encode(s);
	assert_int_equal(decode_part(b, ibuf_size(b), decode), 0);
	assert_int_equal(ibuf_size(b), len + NET_MAX_FORWARDS * 5);
	/* The count is what differs first. */
	at = len - net_size() - 4;
	assert_int_equal(ibuf_set(b, at, &lie, 4), 0);
	assert_int_equal(decode_part(b, ibuf_size(b), decode), -1);
	assert_int_equal(errno, EBADMSG);
	ibuf_free(b);
	vm_spec_free(s);
}

/* A sample with one string replaced. */
#define WITH_STR(field, value)                                                 \
	({                                                                     \
		struct vm_spec *with = sample();                               \
		free(with->field);                                             \
		with->field = value;                                           \
		with;                                                          \
	})

static void
strings(void **state)
{
	refused(WITH_STR(name, NULL), EBADMSG);
	refused(WITH_STR(name, strdup("")), EBADMSG);
	refused(WITH_STR(name, strdup("a/b")), EBADMSG);
	refused(WITH_STR(name, repeat('n', VM_NAME_MAX)), EMSGSIZE);
	accepted(WITH_STR(name, repeat('n', VM_NAME_MAX - 1)));
	refused(WITH_STR(parent, repeat('n', VM_NAME_MAX)), EMSGSIZE);
	refused(WITH_STR(boot, repeat('/', 4096)), EMSGSIZE);
	accepted(WITH_STR(boot, repeat('/', 4095)));
	refused(WITH_STR(cmdline, repeat('c', VM_CMDLINE_MAX)), EMSGSIZE);
	accepted(WITH_STR(cmdline, repeat('c', VM_CMDLINE_MAX - 1)));
	refused(WITH_STR(disks[0].path, NULL), EBADMSG);
	refused(WITH_STR(disks[0].path, repeat('/', 4096)), EMSGSIZE);
	refused(WITH_STR(disks[0].serial, repeat('s', 21)), EMSGSIZE);
	refused(WITH_STR(nics[0].ifname, repeat('i', 16)), EMSGSIZE);
	refused(WITH_STR(nics[0].sw, repeat('s', 64)), EMSGSIZE);
	refused(WITH_STR(nics[0].group, repeat('g', 16)), EMSGSIZE);
}

/* Counts stand last where there are no devices. */
static void
counts(void **state)
{
	static const struct {
		uint32_t ndisks, nnics;
	} bad[] = {
		{ VM_MAX_DISKS + 1, 0 },
		{ 0, VM_MAX_NICS + 1 },
		{ UINT32_MAX, 0 },
		{ 0, UINT32_MAX },
		{ VM_MAX_DISKS, VM_MAX_NICS }, /* and nothing follows */
		{ 0, 1 },
	};
	struct vm_spec *s = vm_spec_new("x");
	struct ibuf *b;
	size_t i, len;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		b = encode(s);
		len = ibuf_size(b);
		assert_int_equal(ibuf_truncate(b, len - 8), 0);
		assert_int_equal(wire_put_u32(b, bad[i].ndisks), 0);
		assert_int_equal(wire_put_u32(b, bad[i].nnics), 0);
		assert_int_equal(decode_part(b, len, decode), -1);
		assert_int_equal(errno, EBADMSG);
		ibuf_free(b);
	}
	vm_spec_free(s);
}

/* The most of everything fits into a message. */
static void
largest(void **state)
{
	struct vm_spec *s = sample(), *got;
	struct ibuf *b;
	uint32_t i;

	for (i = s->ndisks; i < VM_MAX_DISKS; i++)
		s->disks[i].path = repeat('d', 4095);
	for (i = s->nnics; i < VM_MAX_NICS; i++)
		s->nics[i].sw = repeat('s', 63);
	s->ndisks = VM_MAX_DISKS;
	s->nnics = VM_MAX_NICS;
	b = encode(s);
	assert_non_null(got = vm_spec_get(b));
	same(s, got);
	vm_spec_free(got);
	ibuf_free(b);
	vm_spec_free(s);
}

/* --- names ---------------------------------------------------------------- */

static void
names(void **state)
{
	static const char *const good[] = { "a", "web1", "0", "007", "A.b-c_d",
		"x..", "1-" };
	static const char *const bad[] = { "", "-a", ".a", "_a", "a b", "a/b",
		"a\n", "a:b", "\xc3\xa4", "a\xc3\xa4", "a\x7f", "a\x80" };
	char *s;
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_null(vm_name_check(good[i]));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_non_null(vm_name_check(bad[i]));
	s = repeat('n', VM_NAME_MAX - 1);
	assert_null(vm_name_check(s));
	free(s);
	s = repeat('n', VM_NAME_MAX);
	assert_non_null(vm_name_check(s));
	free(s);
}

/* --- memory --------------------------------------------------------------- */

/* The n-th allocation fails, for all n: ASan sees what is lost. */
static void
no_memory(void **state)
{
	struct vm_spec *s = sample(), *c = NULL;
	struct ibuf *b = encode(s);
	long n;

	for (n = 0; c == NULL; n++) {
		left = n;
		if ((c = vm_spec_copy(s)) == NULL)
			assert_int_equal(errno, ENOMEM);
	}
	left = -1;
	assert_in_range(n, 10, 40);
	vm_spec_free(c);
	for (n = 0, c = NULL; c == NULL; n++) {
		ibuf_rewind(b);
		left = n;
		if ((c = vm_spec_get(b)) == NULL)
			assert_int_equal(errno, ENOMEM);
	}
	left = -1;
	assert_in_range(n, 10, 40);
	same(s, c);
	vm_spec_free(c);
	for (n = 0; n < 2; n++) {
		left = n;
		assert_null(vm_spec_new("x"));
	}
	left = -1;
	ibuf_free(b);
	vm_spec_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(copies),
		cmocka_unit_test(truncated),
		cmocka_unit_test(numbers),
		cmocka_unit_test(nics),
		cmocka_unit_test(nic_counts),
		cmocka_unit_test(strings),
		cmocka_unit_test(counts),
		cmocka_unit_test(largest),
		cmocka_unit_test(names),
		cmocka_unit_test(no_memory),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
