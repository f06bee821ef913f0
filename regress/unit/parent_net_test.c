/* Interfaces in the parent: made, kept, undone, whatever priv does. */

#include "regress/unit/parent_net.h"

/* --- what is made ---------------------------------------------------------- */

static void
greeted(void **state)
{
	assert_int_equal(nseen, 2);
	expect(0, IMSG_PRIV_INIT, "");
	assert_string_equal(seen[0].tag, parent.state.tag);
	assert_int_equal(seen[0].init.prefix, 0x64400000);
	assert_int_equal(seen[0].init.mask, 0xffc00000);
	expect(1, IMSG_PRIV_SWEEP, "");
	assert_string_equal(state_file("hosts"), "");
}

static void
plain(void **state)
{
	struct net_conf *c;
	uint8_t mac[6];
	struct vm *v = vm_find(&parent, "web1");

	v->spec->cpus = 2;
	give_nic("web1", 0);
	run("web1");
	assert_int_equal(nseen, 3);
	expect(2, IMSG_PRIV_NIC, "");
	assert_string_equal(seen[2].alias, "vm1-if0-web1");
	assert_int_equal(seen[2].flags, PRIVF_UP);
	assert_int_equal(seen[2].nic.pairs, 2);
	assert_int_not_equal(fdlist_get(&vmm.fds, FD_TAP, 0, 0), -1);
	assert_int_not_equal(fdlist_get(&vmm.fds, FD_TAP, 0, 1), -1);
	assert_int_equal(fdlist_get(&vmm.fds, FD_TAP, 0, 2), -1);
	c = &vmm.spec->nics[0].net;
	assert_string_equal(c->ifname, "tap0");
	assert_int_equal(c->flags, 0);
	assert_int_equal(c->mtu, 1500);
	assert_int_equal(c->pairs, 2);
	assert_int_equal(c->host_mac[0], 0xfe);
	net_mac(parent.net->machine, parent.state.tag, "web1", 0, 0, mac);
	assert_memory_equal(c->mac, mac, 6);
	assert_memory_equal(seen[2].nic.mac, mac, 6);
	ends("web1", VMEXIT_POWEROFF);
	assert_int_equal(nseen, 4);
	expect(3, IMSG_PRIV_NIC_DEL, "tap0");
	assert_null(v->net);
	assert_int_equal(v->fds.n, 0);
}

static void
minimum(void **state)
{
	give_nic("web1", NICF_LOCAL);
	vm_find(&parent, "web1")->spec->min_nics = 3;
	run("web1");
	assert_int_equal(nseen, 5);
	assert_int_equal(vmm.spec->nnics, 3);
	assert_int_equal(seen[2].flags, PRIVF_UP | PRIVF_LOCAL);
	assert_int_equal(seen[4].flags, PRIVF_UP);
	assert_string_equal(vmm.spec->nics[2].net.ifname, "tap2");
	ends("web1", VMEXIT_POWEROFF);
	assert_int_equal(nseen, 8);
	expect(7, IMSG_PRIV_NIC_DEL, "tap2");
}

static void
local(void **state)
{
	struct net_conf *c;
	struct stat st;

	give_nic("web1", 0);
	give_nic("web1", NICF_LOCAL);
	run("web1");
	c = &vmm.spec->nics[1].net;
	assert_int_equal(c->flags, NETF_LOCAL);
	assert_int_equal(c->host4, 0x64400104);
	assert_int_equal(c->guest4, 0x64400105);
	assert_int_equal(seen[3].nic.host4, 0x64400104);
	assert_int_equal(c->ndns4, 1);
	assert_int_equal(c->dns4[0], c->host4);
	assert_int_equal(c->lease, NET_LEASE);
	assert_string_equal(c->host, "web1");
	assert_string_equal(state_file("hosts"), "100.64.1.5\tweb1\n");
	assert_int_equal(fstatat(parent.state.fd, "hosts", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	ends("web1", VMEXIT_FAILED);
	assert_string_equal(state_file("hosts"), "");
}

static void
inet6(void **state)
{
	struct net_conf *c;
	char text[INET6_ADDRSTRLEN], line[128];
	uint8_t a[16];

	parent.conf->local_inet6 = 1;
	parent.conf->local_nat = 1;
	parent.conf->ndns4 = 1;
	parent.conf->dns4[0] = 0x09090909;
	parent.conf->domain = strdup("example.org");
	net_configure(&parent);
	give_nic("web1", NICF_LOCAL);
	run("web1");
	c = &vmm.spec->nics[0].net;
	assert_int_equal(c->flags, NETF_LOCAL | NETF_INET6);
	assert_int_equal(c->host6[0], 0xfd);
	assert_int_equal(c->host6[15], 1);
	net_addr6_eui64(parent.net->prefix6, c->mac, a);
	assert_memory_equal(c->guest6, a, 16);
	assert_int_equal(c->dns4[0], 0x09090909);
	assert_string_equal(c->domain, "example.org");
	assert_int_equal(seen[nseen - 1].flags,
	    PRIVF_UP | PRIVF_LOCAL | PRIVF_INET6 | PRIVF_NAT);
	snprintf(line, sizeof(line), "100.64.1.3\tweb1\n%s\tweb1\n",
	    inet_ntop(AF_INET6, a, text, sizeof(text)));
	assert_string_equal(state_file("hosts"), line);
	/* The prefix is drawn once. */
	inet_ntop(AF_INET6, parent.net->prefix6, text, sizeof(text));
	snprintf(line, sizeof(line), "%s\n", text);
	assert_string_equal(state_file("prefix6"), line);
	ends("web1", VMEXIT_POWEROFF);
}

/* A guest that resets keeps what it has. */
static void
reset(void **state)
{
	struct vm *v = vm_find(&parent, "web1");
	struct stat a, b;
	uint8_t mac[6];
	unsigned int n;

	give_nic("web1", NICF_LOCAL);
	run("web1");
	n = nseen;
	assert_int_equal(fstat(fdlist_get(&vmm.fds, FD_TAP, 0, 0), &a), 0);
	memcpy(mac, vmm.spec->nics[0].net.mac, 6);
	clear(&vmm);
	say_ended("web1", v->generation, VMEXIT_RESET);
	until_got(&vmm, IMSG_VMDOP_START_VM_REQUEST);
	assert_int_equal(nseen, n);
	assert_int_equal(fstat(fdlist_get(&vmm.fds, FD_TAP, 0, 0), &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	assert_memory_equal(vmm.spec->nics[0].net.mac, mac, 6);
	assert_string_equal(vmm.spec->nics[0].net.ifname, "tap0");
	say_started();
	until_state(v, VMS_RUNNING);
	ends("web1", VMEXIT_POWEROFF);
	expect(n, IMSG_PRIV_NIC_DEL, "tap0");
}

/* Restarted by the daemon: everything anew. */
static void
restarted(void **state)
{
	struct vm *v = vm_find(&parent, "web1");

	v->spec->restart = RESTART_ALWAYS;
	give_nic("web1", 0);
	run("web1");
	say_ended("web1", v->generation, VMEXIT_FAILED);
	until_state(v, VMS_WAITING);
	until_ordered();
	expect(nseen - 1, IMSG_PRIV_NIC_DEL, "tap0");
	assert_null(v->net);
	vm_cancel(v);
	v->spec->restart = RESTART_NEVER;
}

/* --- and undone ------------------------------------------------------------ */

static void
refused(void **state)
{
	give_nic("web1", 0);
	give_nic("web1", 0);
	give_nic("web1", 0);
	vm_find(&parent, "web1")->spec->file = strdup("/etc/vm.conf");
	vm_find(&parent, "web1")->spec->line = 12;
	priv_mood = PRIV_REFUSES;
	priv_mood_skip = 1;
	assert_string_equal(fails("web1"),
	    "interface 1: no luck (/etc/vm.conf:12)");
	until_ordered();
	assert_int_equal(nseen, 5);
	expect(4, IMSG_PRIV_NIC_DEL, "tap0");
	priv_mood = PRIV_ANSWERS;
	run("web1");
	ends("web1", VMEXIT_POWEROFF);
}

static void
launch_fails(void **state)
{
	struct vmop_result r = { .err = VMERR_GUEST };
	char text[] = "no memory";

	give_nic("web1", 0);
	begin("web1");
	r.text = text;
	r.id = vmm.spec->id;
	send_result(IMSG_VMDOP_START_VM_RESPONSE, vmm.hdr.reqid, &r);
	until_got(&control, IMSG_VMDOP_START_VM_RESPONSE);
	until_ordered();
	expect(nseen - 1, IMSG_PRIV_NIC_DEL, "tap0");
	assert_null(vm_find(&parent, "web1")->net);
}

static void
vmm_dies(void **state)
{
	unsigned int n;

	give_nic("web1", NICF_LOCAL);
	run("web1");
	n = nseen;
	kill(vmm.pid, SIGKILL);
	until_restarted(&vmm, 2);
	until_ordered();
	assert_int_equal(nseen, n + 1);
	expect(n, IMSG_PRIV_NIC_DEL, "tap0");
	assert_string_equal(state_file("hosts"), "");
}

/* The order is with priv when nobody wants the interface any more. */
static void
stopped(void **state)
{
	struct vm *v = vm_find(&parent, "web1");

	give_nic("web1", 0);
	priv_mood = PRIV_MUTE;
	clear(&control);
	send_start(100, "web1");
	until(&nseen, 3);
	send_id(IMSG_VMDOP_TERMINATE_VM_REQUEST, 101, "web1", 0, 0);
	until_got(&control, IMSG_VMDOP_START_VM_RESPONSE);
	assert_int_not_equal(control.res.err, VMERR_OK);
	until_state(v, VMS_STOPPED);
	assert_int_equal(nseen, 3);
	priv_answers_late();
	until_ordered();
	assert_int_equal(nseen, 4);
	expect(3, IMSG_PRIV_NIC_DEL, "tap0");
	assert_int_equal(v->fds.n, 0);
}

/* --- priv ------------------------------------------------------------------ */

static void
dies(void **state)
{
	give_nic("web1", 0);
	give_nic("web1", 0);
	priv_mood = PRIV_DIES;
	priv_mood_skip = 1;
	assert_string_equal(fails("web1"), "interface 1: priv died");
	/* Nobody is asked to undo: the next one is told of nothing. */
	assert_int_equal(nseen, 4);
	priv_mood = PRIV_ANSWERS;
	until_restarted(&priv, 2);
	until_ordered();
	assert_int_equal(nseen, 7);
	expect(4, IMSG_PRIV_INIT, "");
	expect(5, IMSG_PRIV_SWEEP, "");
	expect(6, IMSG_PRIV_CHECK, "");
	run("web1");
	ends("web1", VMEXIT_POWEROFF);
}

static void
mute(void **state)
{
	give_nic("web1", 0);
	priv_mood = PRIV_MUTE;
	clear(&control);
	send_start(100, "web1");
	until(&nseen, 3);
	event_active(parent.net->deadline, EV_TIMEOUT, 0);
	until_got(&control, IMSG_VMDOP_START_VM_RESPONSE);
	assert_int_equal(control.res.err, VMERR_TIMEOUT);
	assert_string_equal(control.res.text,
	    "interface 0: priv did not answer in time");
	priv_mood = PRIV_ANSWERS;
	until_restarted(&priv, 2);
	until_ordered();
}

static void
absent(void **state)
{
	unsigned int n;

	give_nic("web1", 0);
	/* It has died so often that its next start would be late. */
	parent.children[CHILD_PRIV].delay = 60;
	kill(priv.pid, SIGKILL);
	while (parent.children[CHILD_PRIV].peer != NULL)
		event_base_loop(parent.base, EVLOOP_ONCE);
	n = nseen;
	clear(&vmm);
	clear(&control);
	send_start(100, "web1");
	until_restarted(&priv, 2);
	until_got(&vmm, IMSG_VMDOP_START_VM_REQUEST);
	assert_int_equal(nseen, n + 4);
	expect(n, IMSG_PRIV_INIT, "");
	expect(n + 3, IMSG_PRIV_NIC, "");
	say_started();
	until_got(&control, IMSG_VMDOP_START_VM_RESPONSE);
	assert_int_equal(control.res.err, VMERR_OK);
	/* And only once. */
	assert_false(
	    event_pending(parent.children[CHILD_PRIV].again, EV_TIMEOUT, NULL));
	assert_int_equal(priv.starts, 2);
	ends("web1", VMEXIT_POWEROFF);
}

/* Whatever it says that it should not is its end. */
static void
hostile(void **state)
{
	static const enum priv_mood moods[] = { PRIV_WRONG_ID, PRIV_NONSENSE,
		PRIV_FEW_TAPS, PRIV_MANY_TAPS, PRIV_NO_NAME, PRIV_NO_MTU,
		PRIV_NO_TEXT, PRIV_TAPS_REFUSED };
	size_t i;

	give_nic("web1", 0);
	for (i = 0; i < sizeof(moods) / sizeof(moods[0]); i++) {
		/* As after a run of some length. */
		parent.children[CHILD_PRIV].since = 0;
		priv_mood = moods[i];
		nseen = 0;
		assert_string_equal(fails("web1"), "interface 0: priv died");
		priv_mood = PRIV_ANSWERS;
		until_restarted(&priv, (unsigned int)i + 2);
		until_ordered();
		expect(1, IMSG_PRIV_INIT, "");
		expect(2, IMSG_PRIV_SWEEP, "");
	}
}

/* An answer that nobody waits for. */
static void
twice(void **state)
{
	give_nic("web1", 0);
	priv_mood = PRIV_TWICE;
	clear(&vmm);
	send_start(100, "web1");
	until_restarted(&priv, 2);
	priv_mood = PRIV_ANSWERS;
	until_ordered();
}

static void
same_name(void **state)
{
	give_nic("web1", 0);
	give_nic("web1", 0);
	priv_mood = PRIV_SAME_NAME;
	assert_string_equal(fails("web1"),
	    "interface 1: priv made another interface than it was told");
	until_ordered();
	expect(nseen - 1, IMSG_PRIV_NIC_DEL, "tap0");
}

/* A new one is told of what is in use. */
static void
told_again(void **state)
{
	struct vm *v = vm_find(&parent, "web1");
	unsigned int n;

	give_nic("web1", NICF_LOCAL | NICF_NAT);
	give_nic("web1", 0);
	run("web1");
	n = nseen;
	priv_forwarding = PRIVFWD_4;
	priv_kept = "4eth0";
	kill(priv.pid, SIGKILL);
	until_restarted(&priv, 2);
	until_ordered();
	assert_int_equal(nseen, n + 5);
	expect(n, IMSG_PRIV_INIT, "");
	expect(n + 1, IMSG_PRIV_NIC, "tap0");
	assert_int_equal(seen[n + 1].flags,
	    PRIVF_UP | PRIVF_LOCAL | PRIVF_NAT | PRIVF_ADOPT);
	assert_int_equal(seen[n + 1].nic.guest4, 0x64400103);
	expect(n + 2, IMSG_PRIV_NIC, "tap1");
	assert_int_equal(seen[n + 2].flags, PRIVF_UP | PRIVF_ADOPT);
	expect(n + 3, IMSG_PRIV_SWEEP, "");
	expect(n + 4, IMSG_PRIV_CHECK, "");
	assert_int_equal(v->state, VMS_RUNNING);
	/* What it said of forwarding, the next one hears. */
	n = nseen;
	assert_memory_equal(state_file("forwarding"), "1 ", 2);
	parent.children[CHILD_PRIV].since = 0;
	kill(priv.pid, SIGKILL);
	until_restarted(&priv, 3);
	until_ordered();
	assert_int_equal(seen[n].init.forwarding, PRIVFWD_4);
	assert_string_equal(seen[n].kept, "4eth0");
	ends("web1", VMEXIT_POWEROFF);
	expect(nseen - 1, IMSG_PRIV_NIC_DEL, "tap1");
}

static uint32_t
forwarding_after(const char *text)
{
	int fd = openat(parent.state.fd, "forwarding",
	    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	net_fini(&parent);
	assert_int_equal(net_setup(&parent), 0);
	return parent.net->forwarding;
}

/* A crash after priv has done it and before it says so: it is known. */
static void
noted_first(void **state)
{
	char off = '1';
	uint32_t bits;
	int fd = open("/proc/sys/net/ipv4/ip_forward", O_RDONLY);

	assert_int_equal(read(fd, &off, 1), 1);
	close(fd);
	if (off != '0')
		skip();
	give_nic("web1", 0);
	give_nic("web1", NICF_LOCAL | NICF_NAT);
	priv_forwarding = PRIVFWD_RULE;
	priv_mood = PRIV_MUTE;
	priv_mood_skip = 1;
	send_start(100, "web1");
	until(&nseen, 4);
	expect(3, IMSG_PRIV_NIC, "");
	/* What it said before is kept: a rule that is the host's own. */
	bits = (uint32_t)strtoul(state_file("forwarding"), NULL, 10);
	assert_int_equal(bits & ~(uint32_t)PRIVFWD_NO_REDIRECTS,
	    PRIVFWD_4 | PRIVFWD_RULE);
	priv_forwarding = 0;
	priv_answers_late();
	until_got(&vmm, IMSG_VMDOP_START_VM_REQUEST);
	/* Somebody else was faster, says priv. */
	assert_memory_equal(state_file("forwarding"), "0 ", 2);
	say_started();
	until_ordered();
	ends("web1", VMEXIT_POWEROFF);
}

/* What was turned on before this host was booted is over. */
static void
booted(void **state)
{
	char now[100];

	until_ordered();
	net_forwarding(&parent, PRIVFWD_ALL, "4eth0 6eth0");
	snprintf(now, sizeof(now), "%.90s", state_file("forwarding"));
	assert_int_equal(forwarding_after(now), PRIVFWD_ALL);
	assert_string_equal(parent.net->kept, "4eth0 6eth0");
	net_forwarding(&parent, PRIVFWD_ALL, NULL);
	snprintf(now, sizeof(now), "%.90s", state_file("forwarding"));
	assert_int_equal(forwarding_after(now), PRIVFWD_ALL);
	assert_null(parent.net->kept);
	now[4] = now[4] == '0' ? '1' : '0';
	assert_int_equal(forwarding_after(now), 0);
	assert_int_equal(forwarding_after("16\n"), 0);
	assert_int_equal(forwarding_after("3\n"), 0);
	assert_int_equal(forwarding_after("4 x\n"), 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(greeted),
		T(plain),
		T(minimum),
		T(local),
		T(inet6),
		T(reset),
		T(restarted),
		T(refused),
		T(launch_fails),
		T(vmm_dies),
		T(stopped),
		T(dies),
		T(mute),
		T(absent),
		T(hostile),
		T(twice),
		T(same_name),
		T(told_again),
		T(noted_first),
		T(booted),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
