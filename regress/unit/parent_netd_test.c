/* Networks in the parent: MACs, ports, switches, what the host is like. */

#include "regress/unit/parent_net.h"

/* --- MACs and ports -------------------------------------------------------- */

static struct vm *
other(const char *name)
{
	struct vm_spec *s = vm_spec_new(name);
	struct vm *v;

	s->boot = strdup("/kernel");
	s->flags = VMF_DISABLED | VMF_OVERCOMMIT;
	assert_non_null(v = vm_new(&parent, s, 1));
	assert_int_equal(vm_assign_id(v), 0);
	return v;
}

static void
clash(void **state)
{
	struct nic_spec *n;
	uint8_t mac[6], next[6];

	other("db");
	give_nic("web1", 0);
	n = give_nic("db", NICF_LLADDR);
	net_mac(parent.net->machine, parent.state.tag, "web1", 0, 0, mac);
	net_mac(parent.net->machine, parent.state.tag, "web1", 0, 1, next);
	memcpy(n->lladdr, mac, 6);
	run("web1");
	assert_memory_equal(vmm.spec->nics[0].net.mac, next, 6);
	assert_string_equal(state_file("macs"), "web1 0 1\n");
	ends("web1", VMEXIT_POWEROFF);
	/* It stays, also when there is no reason any more. */
	memset(n->lladdr, 2, 6);
	run("web1");
	assert_memory_equal(vmm.spec->nics[0].net.mac, next, 6);
	/* Given, it may not be that of one that runs. */
	memcpy(n->lladdr, next, 6);
	assert_non_null(
	    strstr(fails("db"), " is that of interface 0 of vm \"web1\""));
	ends("web1", VMEXIT_POWEROFF);
	memcpy(n->lladdr, mac, 6);
	run("db");
	assert_memory_equal(vmm.spec->nics[0].net.mac, mac, 6);
	ends("db", VMEXIT_POWEROFF);
}

static void
given_twice(void **state)
{
	struct nic_spec *a, *b;

	other("db");
	a = give_nic("web1", NICF_LLADDR);
	b = give_nic("db", NICF_LLADDR);
	memset(a->lladdr, 2, 6);
	memset(b->lladdr, 2, 6);
	assert_string_equal(fails("web1"),
	    "interface 0: lladdr 02:02:02:02:02:02 is that of interface 0 of "
	    "vm \"db\"");
	assert_int_equal(nseen, 2);
}

static uint16_t
listening(int *s)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	*s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(*s, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(*s, 1), 0);
	assert_int_equal(getsockname(*s, (struct sockaddr *)&sin, &len), 0);
	return ntohs(sin.sin_port);
}

static void
ports(void **state)
{
	struct net_forward f = { IPPROTO_TCP, 0, 22 };
	struct nic_spec *n = give_nic("web1", NICF_LOCAL);
	char want[128];
	int s;

	other("db");
	f.port = listening(&s);
	n->forwards[n->nforwards++] = f;
	snprintf(want, sizeof(want),
	    "interface 0: forward tcp %u: a program of this host has the port",
	    f.port);
	assert_string_equal(fails("web1"), want);
	close(s);
	/* Those that stand for helpers have it, too. */
	until(&helpers_reaped, helpers);
	run("web1");
	assert_int_equal(seen[nseen - 1].nic.nforwards, 1);
	n = give_nic("db", NICF_LOCAL);
	n->forwards[n->nforwards++] = f;
	snprintf(want, sizeof(want),
	    "interface 0: forward tcp %u: the port is forwarded to interface "
	    "0 of vm \"web1\"",
	    f.port);
	assert_string_equal(fails("db"), want);
	/* Of another protocol it is another port. */
	n->forwards[0].proto = IPPROTO_UDP;
	run("db");
	ends("web1", VMEXIT_POWEROFF);
	ends("db", VMEXIT_POWEROFF);
}

/* Another prefix is for those that start from now on. */
static void
other_prefix(void **state)
{
	unsigned int n;

	give_nic("web1", NICF_LOCAL);
	run("web1");
	n = nseen;
	parent.conf->local_prefix = 0x0a000000;
	parent.conf->local_mask = 0xffff0000;
	net_configure(&parent);
	until_ordered();
	expect(n, IMSG_PRIV_INIT, "");
	assert_int_equal(seen[n].init.prefix, 0x0a000000);
	assert_int_equal(seen[n].init.mask, 0xffff0000);
	assert_string_equal(state_file("hosts"), "100.64.1.3\tweb1\n");
	ends("web1", VMEXIT_POWEROFF);
	run("web1");
	assert_int_equal(vmm.spec->nics[0].net.guest4, 0x0a000103);
	ends("web1", VMEXIT_POWEROFF);
}

static void
no_address(void **state)
{
	vm_find(&parent, "web1")->want_id = 20000;
	vm_take_next(vm_find(&parent, "web1"));
	give_nic("web1", NICF_LOCAL);
	assert_string_equal(fails("web1"),
	    "interface 0: no address for id 20000 in the local prefix "
	    "100.64.0.0/10");
}

/* --- switches -------------------------------------------------------------- */

static struct conf_switch *
give_switch(const char *name, const char *ifname, uint32_t flags)
{
	struct conf_switch *sw = calloc(1, sizeof(*sw));

	sw->name = strdup(name);
	sw->ifname = strdup(ifname);
	sw->file = strdup("/etc/vm.conf");
	sw->line = 3;
	sw->flags = flags | SWITCHF_UP;
	TAILQ_INSERT_TAIL(&parent.conf->switches, sw, entry);
	return sw;
}

static void
take_switch(struct conf_switch *sw)
{
	TAILQ_REMOVE(&parent.conf->switches, sw, entry);
	free(sw->name);
	free(sw->ifname);
	free(sw->group);
	free(sw->file);
	free(sw);
}

static void
configure(void)
{
	nseen = 0;
	net_configure(&parent);
	until_ordered();
}

static void
reconciled(void **state)
{
	struct conf_switch *a = give_switch("a", "bridge0", 0), *b;

	configure();
	assert_int_equal(nseen, 2);
	expect(0, IMSG_PRIV_SWITCH, "bridge0");
	assert_string_equal(seen[0].alias, "switch-a");
	assert_int_equal(seen[0].flags, PRIVF_UP);
	expect(1, IMSG_PRIV_CHECK, "");
	configure();
	assert_int_equal(nseen, 0);
	b = give_switch("b", "veb1", SWITCHF_RDOMAIN);
	b->rdomain = 7;
	configure();
	assert_int_equal(nseen, 1);
	expect(0, IMSG_PRIV_SWITCH, "veb1");
	assert_int_equal(seen[0].flags, PRIVF_UP | PRIVF_RDOMAIN);
	assert_int_equal(seen[0].rdomain, 7);
	/* Another name, the same bridge; another state. */
	free(a->name);
	a->name = strdup("c");
	b->flags &= ~(uint32_t)SWITCHF_UP;
	configure();
	assert_int_equal(nseen, 2);
	expect(0, IMSG_PRIV_SWITCH, "bridge0");
	assert_int_equal(seen[0].flags, PRIVF_UP | PRIVF_ADOPT);
	assert_string_equal(seen[0].alias, "switch-c");
	assert_int_equal(seen[1].flags, PRIVF_RDOMAIN | PRIVF_ADOPT);
	take_switch(a);
	take_switch(b);
	configure();
	assert_int_equal(nseen, 2);
	expect(0, IMSG_PRIV_SWITCH_DEL, "bridge0");
	expect(1, IMSG_PRIV_SWITCH_DEL, "veb1");
}

static void
member(void **state)
{
	struct conf_switch *sw = give_switch("lan", "bridge0",
	    SWITCHF_LOCKED | SWITCHF_RDOMAIN);

	sw->rdomain = 3;
	sw->group = strdup("guests");
	configure();
	give_nic("web1", NICF_ISOLATED)->sw = strdup("lan");
	give_nic("web1", NICF_RDOMAIN)->sw = strdup("lan");
	nseen = 0;
	run("web1");
	assert_int_equal(nseen, 2);
	assert_string_equal(seen[0].bridge, "bridge0");
	assert_string_equal(seen[0].swgroup, "guests");
	assert_int_equal(seen[0].flags,
	    PRIVF_UP | PRIVF_LOCKED | PRIVF_ISOLATED | PRIVF_RDOMAIN);
	assert_int_equal(seen[0].rdomain, 3);
	assert_int_equal(seen[1].rdomain, 0);
	assert_int_equal(vmm.spec->nics[0].net.flags, NETF_LOCKED);
	/* Gone from the configuration, it stays as long as it is used. */
	take_switch(sw);
	configure();
	assert_int_equal(nseen, 0);
	kill(priv.pid, SIGKILL);
	until_restarted(&priv, 2);
	until_ordered();
	expect(1, IMSG_PRIV_SWITCH, "bridge0");
	assert_int_equal(seen[1].flags & PRIVF_ADOPT, PRIVF_ADOPT);
	expect(2, IMSG_PRIV_NIC, "tap0");
	nseen = 0;
	ends("web1", VMEXIT_POWEROFF);
	assert_int_equal(nseen, 3);
	expect(2, IMSG_PRIV_SWITCH_DEL, "bridge0");
}

static const char *
pending(const char *name)
{
	static char why[512];

	return net_pending(vm_find(&parent, name), why, sizeof(why)) ? why : "";
}

/* What a changed switch says of its ports is for those that start later. */
static void
changed(void **state)
{
	struct conf_switch *sw = give_switch("lan", "bridge0", 0);
	struct vm *v = vm_find(&parent, "web1");

	configure();
	give_nic("web1", 0);
	give_nic("web1", 0)->sw = strdup("lan");
	assert_string_equal(pending("web1"), "");
	run("web1");
	assert_string_equal(pending("web1"), "");
	sw->flags |= SWITCHF_LOCKED;
	configure();
	assert_string_equal(pending("web1"),
	    "interface 1: switch \"lan\": locked lladdr changed");
	/* It was said. */
	assert_string_equal(v->net->pending, pending("web1"));
	sw->flags &= ~(uint32_t)SWITCHF_LOCKED;
	sw->group = strdup("guests");
	configure();
	assert_string_equal(pending("web1"),
	    "interface 1: switch \"lan\": group changed");
	free(sw->ifname);
	sw->ifname = strdup("bridge1");
	configure();
	assert_string_equal(pending("web1"),
	    "interface 1: switch \"lan\": interface changed");
	/* What the bridge itself is it is at once. */
	free(sw->ifname);
	sw->ifname = strdup("bridge0");
	free(sw->group);
	sw->group = NULL;
	sw->flags &= ~(uint32_t)SWITCHF_UP;
	configure();
	assert_string_equal(pending("web1"), "");
	assert_null(v->net->pending);
	sw->flags |= SWITCHF_LOCKED;
	configure();
	ends("web1", VMEXIT_POWEROFF);
	assert_string_equal(pending("web1"), "");
	run("web1");
	assert_int_equal(seen[nseen - 1].flags, PRIVF_UP | PRIVF_LOCKED);
	assert_string_equal(pending("web1"), "");
	ends("web1", VMEXIT_POWEROFF);
}

/* A bridge that was down is put down by whoever comes last. */
static void
raised(void **state)
{
	struct conf_switch *sw = give_switch("lan", "bridge0", 0);

	priv_created = PRIVSW_RAISED;
	configure();
	nseen = 0;
	kill(priv.pid, SIGKILL);
	until_restarted(&priv, 2);
	until_ordered();
	expect(1, IMSG_PRIV_SWITCH, "bridge0");
	assert_int_equal(seen[1].flags, PRIVF_UP | PRIVF_RAISED);
	take_switch(sw);
	configure();
	assert_int_equal(nseen, 1);
	expect(0, IMSG_PRIV_SWITCH_DEL, "bridge0");
	/* Of one that was up there is nothing to undo. */
	priv_created = 0;
	sw = give_switch("lan", "bridge0", 0);
	configure();
	take_switch(sw);
	configure();
	assert_int_equal(nseen, 0);
}

/* Reloads that are quicker than priv. */
static void
overtaken(void **state)
{
	struct conf_switch *sw = give_switch("lan", "bridge0", 0);

	priv_mood = PRIV_MUTE;
	priv_mood_for = IMSG_PRIV_SWITCH;
	nseen = 0;
	net_configure(&parent);
	sw->flags &= ~(uint32_t)SWITCHF_UP;
	net_configure(&parent);
	until(&nseen, 1);
	priv_answers_late();
	/* The check, then the second order. */
	until(&nseen, 3);
	expect(2, IMSG_PRIV_SWITCH, "bridge0");
	take_switch(sw);
	net_configure(&parent);
	assert_non_null(switch_find(&parent, "bridge0"));
	priv_answers_late();
	until_ordered();
	assert_null(switch_find(&parent, "bridge0"));
	expect(nseen - 1, IMSG_PRIV_SWITCH_DEL, "bridge0");
}

static void
no_switch(void **state)
{
	give_nic("web1", 0)->sw = strdup("nosuch");
	assert_string_equal(fails("web1"), "interface 0: no switch \"nosuch\"");
	assert_int_equal(nseen, 2);
}

/* One that cannot be made is tried again when it is needed. */
static void
failed_switch(void **state)
{
	give_switch("lan", "bridge0", 0);
	priv_mood = PRIV_REFUSES;
	priv_mood_for = IMSG_PRIV_SWITCH;
	configure();
	give_nic("web1", 0)->sw = strdup("lan");
	nseen = 0;
	assert_string_equal(fails("web1"),
	    "interface 0: switch \"lan\": no luck");
	until_ordered();
	/* The tap was made, and is not kept. */
	assert_int_equal(nseen, 3);
	expect(0, IMSG_PRIV_SWITCH, "bridge0");
	expect(2, IMSG_PRIV_NIC_DEL, "tap0");
	priv_mood = PRIV_ANSWERS;
	run("web1");
	ends("web1", VMEXIT_POWEROFF);
}

/* The daemon ends: its bridges go first. */
static void
shutdown_waits(void **state)
{
	give_switch("lan", "bridge0", 0);
	configure();
	give_nic("web1", 0)->sw = strdup("lan");
	run("web1");
	nseen = 0;
	shutdown_begin(&parent);
	until_got(&vmm, IMSG_VMDOP_TERMINATE_VM_REQUEST);
	assert_int_equal(parent.stopping, 1);
	say_ended("web1", vm_find(&parent, "web1")->generation,
	    VMEXIT_POWEROFF);
	until_got(&priv, IMSG_CTL_SHUTDOWN);
	assert_int_equal(nseen, 2);
	expect(0, IMSG_PRIV_NIC_DEL, "tap0");
	expect(1, IMSG_PRIV_SWITCH_DEL, "bridge0");
}

/* It ends while priv has died too often: one more is started to clean up. */
static void
shutdown_alone(void **state)
{
	give_switch("lan", "bridge0", 0);
	configure();
	parent.children[CHILD_PRIV].delay = 60;
	kill(priv.pid, SIGKILL);
	while (parent.children[CHILD_PRIV].peer != NULL)
		event_base_loop(parent.base, EVLOOP_ONCE);
	nseen = 0;
	shutdown_begin(&parent);
	until_restarted(&priv, 2);
	until_got(&priv, IMSG_CTL_SHUTDOWN);
	assert_int_equal(nseen, 4);
	expect(0, IMSG_PRIV_INIT, "");
	expect(2, IMSG_PRIV_SWEEP, "");
	expect(3, IMSG_PRIV_SWITCH_DEL, "bridge0");
}

/* --- what the host is like ------------------------------------------------- */

static void
notes(void **state)
{
	priv_note = "the chain FORWARD drops";
	assert_null(net_notes(&parent));
	parent.conf->local_nat = 1;
	configure();
	expect(nseen - 1, IMSG_PRIV_CHECK, "");
	assert_non_null(strstr(net_notes(&parent), priv_note));
	/* Once is enough. */
	configure();
	assert_int_equal(nseen, 0);
}

static void
resolvers(void **state)
{
	static const char text[] =
	    "# nameserver 1.1.1.1\n"
	    "nameserver 127.0.0.53\n"
	    "nameserver\n"
	    "nameserver 10.0.0.1 # first\n"
	    "  nameserver\t10.0.0.2\r\n"
	    "nameserver 999.0.0.1\nnameservers 10.0.0.9\n"
	    "nameserver fe80::1%eth0\nnameserver fe80::1\nnameserver ::1\n"
	    "nameserver 2001:db8::53\nnameserver 224.0.0.1\n"
	    "search example.org\nnameserver 10.0.0.3\nnameserver 10.0.0.4\n"
	    "nameserver 10.0.0.5";
	char path[] = "/tmp/parent_resolv.XXXXXX", big[2000];
	struct resolvers r;
	int fd = mkstemp(path);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	resolv_read(path, &r);
	assert_int_equal(r.n4, 3);
	assert_int_equal(r.addr4[0], 0x0a000001);
	assert_int_equal(r.addr4[1], 0x0a000002);
	assert_int_equal(r.addr4[2], 0x0a000003);
	assert_int_equal(r.n6, 1);
	assert_int_equal(r.own, 2);
	/* The end of a line that is too long is not one of its own. */
	memset(big, '#', sizeof(big));
	memcpy(big + 511, "nameserver 9.9.9.9 ", 19);
	big[sizeof(big) - 1] = '\n';
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pwrite(fd, big, sizeof(big), 0), sizeof(big));
	resolv_read(path, &r);
	assert_int_equal(r.n4 + r.n6 + r.own, 0);
	close(fd);
	unlink(path);
	resolv_read(path, &r);
	assert_int_equal(r.n4 + r.n6 + r.own, 0);
}

/* The host's resolvers are those, or those behind its own; NULL: as they are. */
static void
resolvers_are(const char *conf, const char *behind)
{
	static char path[2][64];
	const char *text[2] = { conf, behind };
	FILE *f;
	int i;

	for (i = 0; i < 2; i++) {
		if (text[i] == NULL) {
			unlink(path[i]);
			continue;
		}
		snprintf(path[i], sizeof(path[i]), "/tmp/parent_resolv.%d%c",
		    (int)getpid(), 'a' + i);
		assert_non_null(f = fopen(path[i], "w"));
		fputs(text[i], f);
		assert_int_equal(fclose(f), 0);
	}
	resolv_conf = conf == NULL ? "/etc/resolv.conf" : path[0];
	resolv_behind = conf == NULL ? "/run/systemd/resolve/resolv.conf" :
				       path[1];
}

/* The host is looked at when it has those. */
static void
give_resolvers(const char *conf, const char *behind)
{
	resolvers_are(conf, behind);
	parent.net->checked = 0;
	configure();
	resolvers_are(NULL, NULL);
}

#define TOLD_HOST "guests are told to ask this host at another address"
#define TOLD_NONE "guests in user mode are told none"

static void
noted(const char *why, const char *what)
{
	char text[256];

	snprintf(text, sizeof(text), "%s: %s", why, what);
	assert_non_null(net_notes(&parent));
	if (strstr(net_notes(&parent), text) == NULL)
		fail_msg("no \"%s\" in \"%s\"", text, net_notes(&parent));
}

/* A guest that has nobody to ask for names: somebody is told why. */
static void
no_dns(void **state)
{
	struct nic_spec *n = give_nic("web1", NICF_LOCAL | NICF_NAT);
	struct conf *c = parent.conf;

	give_resolvers("nameserver 10.0.0.1", "");
	assert_string_equal(net_notes(&parent), "");
	give_resolvers("nameserver 127.0.0.53", "nameserver 10.0.0.1");
	assert_string_equal(net_notes(&parent), "");
	give_resolvers("", "");
	noted("no resolver in /etc/resolv.conf", TOLD_HOST);
	give_resolvers("nameserver ::1", "");
	noted("only loopback resolvers in /etc/resolv.conf", TOLD_HOST);
	give_resolvers("nameserver 2001:db8::53", "");
	noted("only IPv6 resolvers in /etc/resolv.conf and no `local inet6'",
	    TOLD_HOST);
	c->local_inet6 = 1;
	give_resolvers("nameserver 2001:db8::53", "");
	assert_string_equal(net_notes(&parent), "");
	c->local_inet6 = 0;
	/* In a routing domain it asks this host anyway, as without nat. */
	n->flags |= NICF_RDOMAIN;
	n->rdomain = 5;
	give_resolvers("", "");
	assert_string_equal(net_notes(&parent), "");
	n->flags = NICF_UP | NICF_USER;
	n->rdomain = 0;
	give_resolvers("nameserver 127.0.0.1", "");
	noted("only loopback resolvers in /etc/resolv.conf", TOLD_NONE);
	assert_null(strstr(net_notes(&parent), TOLD_HOST));
	give_resolvers("nameserver 2001:db8::53", "");
	assert_string_equal(net_notes(&parent), "");
	/* `dns' is all there is. */
	c->ndns6 = 1;
	c->dns6[0][0] = 0xfd;
	give_resolvers("", "");
	assert_string_equal(net_notes(&parent), "");
	n->flags = NICF_UP | NICF_LOCAL;
	give_resolvers("", "");
	noted("only IPv6 addresses after `dns' and no `local inet6'",
	    "guests on local interfaces are told to ask this host");
	c->ndns4 = 1;
	c->dns4[0] = 0x0a000001;
	give_resolvers("", "");
	assert_string_equal(net_notes(&parent), "");
}

/* nat is no way to this host's resolvers where its routes do not count. */
static void
dns_of_rdomain(void **state)
{
	struct nic_spec *n;
	struct net_conf *c;

	give_nic("web1", NICF_LOCAL | NICF_NAT);
	n = give_nic("web1", NICF_LOCAL | NICF_NAT | NICF_RDOMAIN);
	n->rdomain = 5;
	resolvers_are("nameserver 10.0.0.9", "");
	run("web1");
	resolvers_are(NULL, NULL);
	assert_int_equal(vmm.spec->nics[0].net.dns4[0], 0x0a000009);
	c = &vmm.spec->nics[1].net;
	assert_int_equal(c->ndns4, 1);
	assert_int_equal(c->dns4[0], c->host4);
	ends("web1", VMEXIT_POWEROFF);
	parent.conf->ndns4 = 1;
	parent.conf->dns4[0] = 0x0a000001;
	run("web1");
	c = &vmm.spec->nics[1].net;
	assert_int_equal(c->ndns4, 1);
	assert_int_equal(c->dns4[0], 0x0a000001);
	ends("web1", VMEXIT_POWEROFF);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(clash),
		T(given_twice),
		T(ports),
		T(no_address),
		T(other_prefix),
		T(reconciled),
		T(member),
		T(changed),
		T(raised),
		T(overtaken),
		T(no_switch),
		T(failed_switch),
		T(shutdown_waits),
		T(shutdown_alone),
		T(notes),
		T(resolvers),
		T(no_dns),
		T(dns_of_rdomain),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
