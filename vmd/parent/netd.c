/*
 * Networks of the daemon as a whole: what is kept about them, and what each
 * priv is told when it is new:
 *
 *	INIT, all switches, all interfaces in use, SWEEP
 *
 * SWEEP removes what carries our tag and was not named: leftovers of a
 * daemon, or of a priv, that was killed.
 */
#include <sys/random.h>

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/proto/wire.h"
#include "lib/util/log.h"
#include "vmd/parent/net_int.h"
#include "vmd/parent/statefile.h"

#define PREFIX6_FILE	"prefix6"
#define FORWARDING_FILE "forwarding"
#define MACHINE_ID	"/etc/machine-id"
#define BOOT_ID		"/proc/sys/kernel/random/boot_id"

/* --- what is kept --------------------------------------------------------- */

static int
write_prefix6(FILE *f, void *arg)
{
	const struct net *n = arg;
	char a[INET6_ADDRSTRLEN];

	fprintf(f, "%s\n", inet_ntop(AF_INET6, n->prefix6, a, sizeof(a)));
	return 0;
}

static const char *
parse_prefix6(void *arg, char *line)
{
	static const uint8_t zeros[8];
	struct net *n = arg;
	uint8_t a[16];

	if (inet_pton(AF_INET6, line, a) != 1 || a[0] != 0xfd ||
	    memcmp(a + 8, zeros, 8) != 0)
		return "no prefix";
	memcpy(n->prefix6, a, 16);
	return NULL;
}

/* Unique local addresses, RFC 4193: drawn once. */
static int
prefix6_setup(struct parent *p)
{
	struct net *n = p->net;

	if (statefile_read(p->state.fd, PREFIX6_FILE, parse_prefix6, n) == -1)
		return -1;
	if (n->prefix6[0] != 0)
		return 0;
	if (getrandom(n->prefix6 + 1, 7, 0) != 7)
		return -1;
	n->prefix6[0] = 0xfd;
	return statefile_write(p->state.fd, PREFIX6_FILE, 0644, write_prefix6,
	    n);
}

static int
write_forwarding(FILE *f, void *arg)
{
	const struct net *n = arg;

	fprintf(f, "%u %s%s%s\n", n->forwarding, n->boot,
	    n->kept == NULL ? "" : " ", n->kept == NULL ? "" : n->kept);
	return 0;
}

static const char *
parse_forwarding(void *arg, char *line)
{
	struct net *n = arg;
	unsigned long bits;
	char *end, *kept;

	bits = strtoul(line, &end, 10);
	if (line[0] < '0' || line[0] > '9' || bits > PRIVFWD_ALL ||
	    (*end != '\0' && *end != ' '))
		return "no number";
	/* Since this host was booted it is not our work any more. */
	kept = *end == ' ' ? strchr(end + 1, ' ') : NULL;
	if (kept != NULL)
		*kept++ = '\0';
	if (n->boot[0] == '\0' || *end != ' ' || strcmp(end + 1, n->boot) != 0)
		return NULL;
	n->forwarding = (uint32_t)bits;
	free(n->kept);
	n->kept = NULL;
	if (kept != NULL && strlen(kept) <= PRIV_KEPT_MAX)
		n->kept = strdup(kept);
	return NULL;
}

void
net_forwarding(struct parent *p, uint32_t forwarding, const char *kept)
{
	struct net *n = p->net;
	char *copy = NULL;

	if (n->forwarding == forwarding &&
	    strcmp(n->kept == NULL ? "" : n->kept, kept == NULL ? "" : kept) ==
		0)
		return;
	/* A newline would be the end of what is kept. */
	if (kept != NULL && strchr(kept, '\n') == NULL)
		copy = strdup(kept);
	free(n->kept);
	n->kept = copy;
	n->forwarding = forwarding;
	if (statefile_write(p->state.fd, FORWARDING_FILE, 0600,
		write_forwarding, p->net) == -1)
		log_warn(FORWARDING_FILE " not saved");
}

/* The first line of a file, "" if it has none. */
static char *
first_line(const char *path)
{
	char buf[64];
	ssize_t n = -1;
	int fd;

	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd != -1) {
		n = read(fd, buf, sizeof(buf) - 1);
		close(fd);
	}
	buf[n > 0 ? n : 0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return strdup(buf);
}

static int
is_off(const char *path)
{
	char *line = first_line(path);
	int off = line != NULL && strcmp(line, "0") == 0;

	free(line);
	return off;
}

void
net_forwarding_before(struct parent *p, uint32_t want)
{
	uint32_t now = p->net->forwarding;
	char *kept = p->net->kept == NULL ? NULL : strdup(p->net->kept);

	if (want & PRIVFWD_4 && is_off("/proc/sys/net/ipv4/ip_forward")) {
		now |= PRIVFWD_4;
		if (is_off("/proc/sys/net/ipv4/conf/all/accept_redirects"))
			now |= PRIVFWD_NO_REDIRECTS;
	}
	if (want & PRIVFWD_6 &&
	    is_off("/proc/sys/net/ipv6/conf/all/forwarding"))
		now |= PRIVFWD_6;
	net_forwarding(p, now, kept);
	free(kept);
}

int
net_setup(struct parent *p)
{
	struct net *n;

	if ((n = p->net = calloc(1, sizeof(*n))) == NULL) {
		log_warn("networks");
		return -1;
	}
	TAILQ_INIT(&n->orders);
	TAILQ_INIT(&n->switches);
	if ((n->machine = first_line(MACHINE_ID)) != NULL &&
	    (n->boot = first_line(BOOT_ID)) != NULL &&
	    (n->macs = macs_load(p->state.fd)) != NULL &&
	    prefix6_setup(p) == 0 &&
	    statefile_read(p->state.fd, FORWARDING_FILE, parse_forwarding, n) !=
		-1) {
		hosts_update(p);
		return 0;
	}
	log_warn("state of networks");
	return -1;
}

void
net_fini(struct parent *p)
{
	struct net *n = p->net;

	if (n == NULL)
		return;
	orders_free(p);
	switches_free(p);
	macs_free(n->macs);
	priv_init_fini(&n->told);
	free(n->notes);
	free(n->machine);
	free(n->boot);
	free(n->kept);
	free(n->hosts);
	free(n);
	p->net = NULL;
}

void
net_forget(struct parent *p)
{
	macs_clear(p->net->macs);
}

/* --- what may keep a guest offline ---------------------------------------- */

char *
net_notes(struct parent *p)
{
	return p->net->notes;
}

/* One more line, if an answer has room for it. */
static void
add_note(struct net *n, const char *text)
{
	char *s;

	log_warnx("host: %s", text);
	if (strlen(n->notes) + strlen(text) + 1 > WIRE_STR_MAX ||
	    asprintf(&s, "%s%s\n", n->notes, text) == -1)
		return;
	free(n->notes);
	n->notes = s;
}

struct wants {
	int any;   /* interfaces at all */
	int local; /* of those, some that DHCP serves */
	int world; /* of those, some that are told this host's resolvers */
	int user;
};

static void
count_spec(const struct conf *c, const struct vm_spec *s, struct wants *w)
{
	uint32_t i;

	w->any |= s->nnics > 0 || s->min_nics > 0;
	for (i = 0; i < s->nnics; i++) {
		w->user |= (s->nics[i].flags & NICF_USER) != 0;
		if (!(s->nics[i].flags & NICF_LOCAL))
			continue;
		w->local = 1;
		if (s->nics[i].rdomain == 0)
			w->world |= c->local_nat || s->nics[i].flags & NICF_NAT;
	}
}

static struct wants
wants(const struct parent *p)
{
	struct wants w = { .any = p->conf->local_nat };
	const struct vm *v;

	w.any |= !TAILQ_EMPTY(&p->conf->switches);
	TAILQ_FOREACH(v, &p->vms, entry)
		count_spec(p->conf, v->spec, &w);
	return w;
}

/* Of no use to a guest are those that it has no addresses to reach with. */
static const char *
no_resolver(const struct resolvers *r, int inet6)
{
	if (r->n4 != 0 || (r->n6 != 0 && inet6))
		return NULL;
	if (r->n6 != 0)
		return "only IPv6 resolvers in /etc/resolv.conf and no "
		       "`local inet6'";
	return r->own == 0 ? "no resolver in /etc/resolv.conf" :
			     "only loopback resolvers in /etc/resolv.conf";
}

static void
check_resolver(struct parent *p)
{
	const struct conf *c = p->conf;
	struct wants w = wants(p);
	struct resolvers r;
	const char *why;
	char text[256];

	if (c->ndns4 != 0)
		return;
	if (c->ndns6 != 0) {
		if (w.local && !c->local_inet6)
			add_note(p->net,
			    "only IPv6 addresses after `dns' and no `local "
			    "inet6': guests on local interfaces are told to "
			    "ask this host, where nobody may answer");
		return;
	}
	resolv_host(&r);
	if (w.world && (why = no_resolver(&r, c->local_inet6)) != NULL) {
		snprintf(text, sizeof(text),
		    "%s: guests are told to ask this host at another address, "
		    "where nobody may answer; set `dns' in vm.conf(5)",
		    why);
		add_note(p->net, text);
	}
	if (w.user && (why = no_resolver(&r, 1)) != NULL) {
		snprintf(text, sizeof(text),
		    "%s: guests in user mode are told none; set `dns' in "
		    "vm.conf(5)",
		    why);
		add_note(p->net, text);
	}
}

static void
checked(void *arg, const struct priv_result *r, int *fds, size_t nfds)
{
	struct parent *p = arg;
	uint32_t i;

	if (r->err == VMERR_GONE) {
		p->net->checked = 0;
		return;
	}
	if (r->err != VMERR_OK) {
		log_warnx("host not checked: %s", r->text);
		return;
	}
	free(p->net->notes);
	if ((p->net->notes = strdup("")) == NULL)
		return;
	for (i = 0; i < r->nnotes; i++)
		add_note(p->net, r->notes[i]);
	check_resolver(p);
}

/* Once. */
static void
check(struct parent *p)
{
	if (p->net->checked || !wants(p).any)
		return;
	p->net->checked = order_new(p, IMSG_PRIV_CHECK, NULL, 0, checked, p) !=
	    NULL;
}

/* --- telling priv --------------------------------------------------------- */

static void
told(void *arg, const struct priv_result *r, int *fds, size_t nfds)
{
	if (r->err != VMERR_OK && r->err != VMERR_GONE)
		log_warnx("priv: %s", r->text);
}

static int
same_init(const struct priv_init *a, const struct priv_init *b)
{
	return a->prefix == b->prefix && a->mask == b->mask &&
	    memcmp(a->prefix6, b->prefix6, 16) == 0;
}

/* Unless it knows. */
static void
tell_init(struct parent *p)
{
	struct net *n = p->net;
	struct priv_init i = {
		.tag = p->state.tag,
		.forwarding = n->forwarding,
		.kept = n->kept,
	};
	struct ibuf *b;

	net_prefix(p, &i.prefix, &i.mask);
	net_prefix6(p, i.prefix6);
	if (n->greeted && same_init(&i, &n->told))
		return;
	n->told = i;
	n->told.tag = n->told.kept = NULL;
	b = ibuf_dynamic(0, MSG_MAXSIZE);
	if (b == NULL || priv_init_put(b, &i) == -1) {
		ibuf_free(b);
		log_warn("priv not told");
	} else if (order_new(p, IMSG_PRIV_INIT, b, 0, told, NULL) == NULL) {
		log_warn("priv not told");
	}
}

void
net_greet(struct parent *p)
{
	p->net->greeted = 0;
	/* The first one is told when the configuration is taken over. */
	if (p->conf == NULL || p->children[CHILD_PRIV].peer == NULL)
		return;
	tell_init(p);
	p->net->greeted = 1;
	switches_tell(p);
	net_adopt_all(p);
	order_new(p, IMSG_PRIV_SWEEP, NULL, 0, told, NULL);
	check(p);
}

void
net_lost(struct parent *p)
{
	p->net->greeted = 0;
	orders_fail(p);
}

void
net_configure(struct parent *p)
{
	if (!p->net->greeted)
		net_greet(p);
	else
		tell_init(p);
	switches_reconcile(p);
	net_mention_pending(p);
	check(p);
}

int
net_shutdown(struct parent *p)
{
	struct netswitch *s;

	/* Who comes after it is not of this daemon. */
	child_hasten(&p->children[CHILD_PRIV]);
	TAILQ_FOREACH(s, &p->net->switches, entry)
		s->wanted = 0;
	switches_tidy(p);
	return TAILQ_EMPTY(&p->net->orders);
}
