/*
 * priv: everything that is done to the host's network.
 *
 * Runs as _vmdpriv with CAP_NET_ADMIN and nothing else, sees /dev/net/tun
 * and /proc/sys/net and no other file.  The parent asks (privmsg.h); each
 * request is answered once, also when it makes no sense; nothing that is
 * wrong with an interface ends this process.
 */

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <bsd/string.h>
#include <event2/event.h>
#include <linux/capability.h>

#include "lib/sandbox/sandbox.h"
#include "lib/util/fdlist.h"
#include "lib/util/log.h"
#include "vmd/priv/priv_int.h"
#include "vmd/roles.h"

struct priv priv = {
	.nics = TAILQ_HEAD_INITIALIZER(priv.nics),
	.sws = TAILQ_HEAD_INITIALIZER(priv.sws),
};

/* --- answers ------------------------------------------------------------- */

/* Frees what is in `r', takes the descriptors. */
static void
answer(struct peer *p, const struct msg *m, int rc, struct priv_result *r,
    int *fds, size_t nfds)
{
	struct ibuf *b;

	r->forwarding = sysctl_forwarding() | vrf_rule();
	r->kept = sysctl_kept();
	if (rc == -1) {
		r->err = priv_why_err();
		r->text = strdup(priv_why());
		log_debug("%s: %s", msg_name(m->type), priv_why());
	}
	if ((b = ibuf_dynamic(0, MSG_MAXSIZE)) == NULL ||
	    priv_result_put(b, r) == -1)
		fatal("answer");
	priv_result_fini(r);
	if (peer_send(p, IMSG_PRIV_RESULT, m->hdr, b, fds, nfds) == -1)
		fatal("answer");
}

static void
answer_plain(struct peer *p, const struct msg *m, int rc)
{
	struct priv_result r = { .err = VMERR_OK };

	answer(p, m, rc, &r, NULL, 0);
}

/* Nothing is done before there is a tag. */
static int
begin(void)
{
	priv_why_clear();
	if (!priv.init)
		return priv_failx(VMERR_INVALID, "priv has no tag yet");
	return 0;
}

/* --- requests ------------------------------------------------------------ */

static int
init(const struct priv_init *i)
{
	if (priv.init && (i->tag == NULL || strcmp(i->tag, priv.tag) != 0))
		return priv_failx(VMERR_EXISTS, "priv has its tag already");
	if (!name_is_tag(i->tag))
		return priv_failx(VMERR_INVALID, "not a tag");
	/* A mask has its ones first. */
	if (i->mask == 0 || (~i->mask & (~i->mask + 1)) != 0 ||
	    (i->prefix & ~i->mask) != 0)
		return priv_failx(VMERR_INVALID, "not a prefix");
	strlcpy(priv.tag, i->tag, sizeof(priv.tag));
	priv.prefix = i->prefix;
	priv.mask = i->mask;
	memcpy(priv.prefix6, i->prefix6, sizeof(priv.prefix6));
	/* Later ones tell of another prefix. */
	if (!priv.init) {
		sysctl_inherit(i->forwarding & ~(uint32_t)PRIVFWD_RULE,
		    i->kept);
		vrf_inherit(i->forwarding);
	}
	priv.init = 1;
	return 0;
}

static int
priv_got_init(struct peer *p, struct msg *m)
{
	struct priv_init i;

	if (priv_init_get(&m->body, &i) == -1)
		return -1;
	priv_why_clear();
	answer_plain(p, m, init(&i));
	priv_init_fini(&i);
	return 0;
}

static int
priv_got_nic(struct peer *p, struct msg *m)
{
	struct priv_result r = { .err = VMERR_OK };
	struct priv_nic conf;
	struct link l = { .index = 0 };
	int fds[NET_MAX_PAIRS], rc;
	size_t nfds = 0;

	if (priv_nic_get(&m->body, &conf) == -1)
		return -1;
	if ((rc = begin()) == 0)
		rc = nic_add(&conf, fds, &l);
	if (rc == 0) {
		r.ifname = strdup(l.name);
		memcpy(r.mac, l.mac, sizeof(r.mac));
		r.mtu = l.mtu;
		while (nfds < NET_MAX_PAIRS && fds[nfds] != -1)
			nfds++;
	}
	answer(p, m, rc, &r, fds, nfds);
	priv_nic_fini(&conf);
	return 0;
}

static int
priv_got_nic_del(struct peer *p, struct msg *m)
{
	struct priv_name n;

	if (priv_name_get(&m->body, &n) == -1)
		return -1;
	answer_plain(p, m, begin() == -1 ? -1 : nic_del(n.ifname));
	priv_name_fini(&n);
	return 0;
}

static int
priv_got_switch(struct peer *p, struct msg *m)
{
	struct priv_result r = { .err = VMERR_OK };
	struct priv_switch s;
	int rc;

	if (priv_switch_get(&m->body, &s) == -1)
		return -1;
	if ((rc = begin()) == 0)
		rc = switch_add(&s, &r.created);
	answer(p, m, rc, &r, NULL, 0);
	priv_switch_fini(&s);
	return 0;
}

static int
priv_got_switch_del(struct peer *p, struct msg *m)
{
	struct priv_name n;

	if (priv_name_get(&m->body, &n) == -1)
		return -1;
	answer_plain(p, m, begin() == -1 ? -1 : switch_del(n.ifname));
	priv_name_fini(&n);
	return 0;
}

static int
priv_got_sweep(struct peer *p, struct msg *m)
{
	answer_plain(p, m, begin() == -1 ? -1 : sweep());
	return 0;
}

static int
priv_got_check(struct peer *p, struct msg *m)
{
	struct priv_result r = { .err = VMERR_OK };
	int rc;

	if ((rc = begin()) == 0)
		check_host(&r);
	answer(p, m, rc, &r, NULL, 0);
	return 0;
}

static int
priv_verbose(struct peer *p, struct msg *m)
{
	struct vmop_id v;

	if (vmop_id_get(&m->body, &v) == -1)
		return -1;
	log_set_verbose((int)v.arg);
	vmop_id_fini(&v);
	return 0;
}

static int
priv_shutdown(struct peer *p, struct msg *m)
{
	sweep_end();
	peer_flush(p, 1000);
	exit(0);
}

static const struct msg_handler priv_msgs[] = {
	{ IMSG_CTL_VERBOSE, ROLE_PARENT, priv_verbose },
	{ IMSG_CTL_SHUTDOWN, ROLE_PARENT, priv_shutdown },
	{ IMSG_PRIV_INIT, ROLE_PARENT, priv_got_init },
	{ IMSG_PRIV_NIC, ROLE_PARENT, priv_got_nic },
	{ IMSG_PRIV_NIC_DEL, ROLE_PARENT, priv_got_nic_del },
	{ IMSG_PRIV_SWITCH, ROLE_PARENT, priv_got_switch },
	{ IMSG_PRIV_SWITCH_DEL, ROLE_PARENT, priv_got_switch_del },
	{ IMSG_PRIV_SWEEP, ROLE_PARENT, priv_got_sweep },
	{ IMSG_PRIV_CHECK, ROLE_PARENT, priv_got_check },
};

/* --- the process --------------------------------------------------------- */

/* What it sees of the host, as long as it may look. */
static void
take_host(void)
{
	const struct passwd *pw = getpwnam(VMD_PRIV_USER);

	if (pw != NULL)
		sandbox_root_tun(pw->pw_uid);
	group_read();
	sysctl_open();
}

int
priv_main(const struct proc_args *a)
{
	static const int caps[] = { CAP_NET_ADMIN };
	struct event_base *base;

	proc_init(a);
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	take_host();
	proc_drop(VMD_PRIV_USER, caps, 1);
	if (nl_open() == -1)
		fatal("netlink");
	if (nft_open() == -1)
		log_warnx("nftables is not available: no nat, no forward");
	if ((base = event_base_new()) == NULL)
		fatal("event_base_new");
	if (proc_up(base, ROLE_PARENT, priv_msgs,
		sizeof(priv_msgs) / sizeof(priv_msgs[0]), NULL) == NULL)
		fatal("channel");
	proc_on_end(sweep_end);
	tap_grant();
	sysctl_grant();
	proc_confine("priv");
	tap_granted();
	event_base_dispatch(base);
	return 1;
}
