/*
 * What vmctl shows of the interfaces of a running VM.  What they are stands
 * in the specification of the run, made by the daemon; what they have done,
 * in the list of devices beside it, which processes of the guest have
 * written.
 */

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/proto/devmsg.h"
#include "vmctl/vmctl.h"

/* What is said of it, NULL if there is none. */
struct view {
	char name[16];
	const char *tap, *sw, *mac, *addr, *host, *addr6, *host6;
	const char *state;
	uint32_t mtu; /* 0: not known */
	const struct dev_stats *d;
	char macbuf[18], bufs[2][INET_ADDRSTRLEN], bufs6[2][INET6_ADDRSTRLEN];
};

static const char *
text4(uint32_t addr, char buf[INET_ADDRSTRLEN])
{
	const struct in_addr in = { .s_addr = htonl(addr) };

	return addr == 0 ? NULL : inet_ntop(AF_INET, &in, buf, INET_ADDRSTRLEN);
}

static const char *
text6(const uint8_t addr[16], char buf[INET6_ADDRSTRLEN])
{
	static const uint8_t none[16];

	if (memcmp(addr, none, sizeof(none)) == 0)
		return NULL;
	return inet_ntop(AF_INET6, addr, buf, INET6_ADDRSTRLEN);
}

static const char *
text_mac(const uint8_t m[6], char buf[18])
{
	static const uint8_t none[6];

	if (memcmp(m, none, sizeof(none)) == 0)
		return NULL;
	snprintf(buf, 18, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2],
	    m[3], m[4], m[5]);
	return buf;
}

static const struct dev_stats *
stats(const struct vm_info *i, uint32_t idx)
{
	uint32_t n;

	for (n = 0; n < i->devs.n; n++)
		if (i->devs.devs[n].kind == DEV_VIONET &&
		    i->devs.devs[n].idx == idx)
			return &i->devs.devs[n];
	return NULL;
}

static void
look(const struct vm_info *i, uint32_t idx, struct view *v)
{
	static const struct dev_stats unknown;
	const struct nic_spec *s = &i->spec->nics[idx];
	const struct net_conf *n = &s->net;

	snprintf(v->name, sizeof(v->name), "%s%u", dev_kind_name(DEV_VIONET),
	    idx);
	v->tap = n->ifname[0] == '\0' ? NULL : n->ifname;
	v->sw = s->sw;
	v->mac = text_mac(n->mac, v->macbuf);
	v->addr = text4(n->guest4, v->bufs[0]);
	v->host = text4(n->host4, v->bufs[1]);
	v->addr6 = text6(n->guest6, v->bufs6[0]);
	v->host6 = text6(n->host6, v->bufs6[1]);
	v->mtu = n->mtu;
	if ((v->d = stats(i, idx)) == NULL)
		v->d = &unknown;
	/* In user mode somebody else has given it. */
	if ((s->flags & NICF_USER) && v->d->counted)
		v->addr = text4((uint32_t)v->d->counts[DEVS_ADDRESS],
		    v->bufs[0]);
	v->state = dev_state_text((enum dev_state)v->d->state);
}

/* How the guest reaches others by it. */
static const char *
mode(const struct nic_spec *s)
{
	if (s->flags & NICF_USER)
		return "user";
	if (s->flags & NICF_LOCAL)
		return "local";
	return s->sw == NULL ? "tap" : "switch";
}

static json_t *
forwards_json(const struct nic_spec *s)
{
	json_t *j = json_array();
	uint32_t n;

	for (n = 0; n < s->nforwards; n++)
		json_array_append_new(j,
		    json_pack("{s:s,s:i,s:i}", "protocol",
			s->forwards[n].proto == IPPROTO_UDP ? "udp" : "tcp",
			"port", (int)s->forwards[n].port, "to",
			(int)s->forwards[n].to));
	return j;
}

/* Those that are handed out, of both kinds. */
static json_t *
dns_json(const struct net_conf *n)
{
	char buf[INET6_ADDRSTRLEN];
	json_t *j = json_array();
	uint32_t i;

	for (i = 0; i < n->ndns4; i++)
		json_array_append_new(j, json_text(text4(n->dns4[i], buf)));
	for (i = 0; i < n->ndns6; i++)
		json_array_append_new(j, json_text(text6(n->dns6[i], buf)));
	return j;
}

static void
counts_json(json_t *j, const struct dev_stats *d)
{
	static const char *const names[DEVS_LEASE] = {
		[DEVS_RX_FRAMES] = "received_frames",
		[DEVS_TX_FRAMES] = "sent_frames",
		[DEVS_RX_BYTES] = "received_bytes",
		[DEVS_TX_BYTES] = "sent_bytes",
		[DEVS_RX_DROPS] = "received_drops",
		[DEVS_TX_DROPS] = "sent_drops",
	};
	size_t i;

	for (i = DEVS_RX_FRAMES; i < DEVS_LEASE; i++)
		json_object_set_new(j, names[i],
		    number_or_null(d->counted != 0, d->counts[i]));
	json_object_set_new(j, "lease",
	    number_or_null(d->counted != 0 && d->counts[DEVS_LEASE] != 0,
		d->counts[DEVS_LEASE]));
}

static json_t *
nic_json(const struct vm_info *i, uint32_t idx)
{
	const struct nic_spec *s = &i->spec->nics[idx];
	json_t *j = json_object();
	struct view v;

	look(i, idx, &v);
	json_object_set_new(j, "name", json_text(v.name));
	json_object_set_new(j, "mode", json_text(mode(s)));
	json_object_set_new(j, "interface", json_text(v.tap));
	json_object_set_new(j, "switch", json_text(v.sw));
	json_object_set_new(j, "group", json_text(s->group));
	json_object_set_new(j, "mac", json_text(v.mac));
	json_object_set_new(j, "mtu", number_or_null(v.mtu != 0, v.mtu));
	json_object_set_new(j, "address", json_text(v.addr));
	json_object_set_new(j, "address6", json_text(v.addr6));
	json_object_set_new(j, "host_address", json_text(v.host));
	json_object_set_new(j, "host_address6", json_text(v.host6));
	json_object_set_new(j, "dns", dns_json(&s->net));
	json_object_set_new(j, "nat", json_boolean(s->flags & NICF_NAT));
	json_object_set_new(j, "forwards", forwards_json(s));
	json_object_set_new(j, "state", json_text(v.state));
	json_object_set_new(j, "replaced",
	    number_or_null(v.state != NULL, v.d->replaced));
	counts_json(j, v.d);
	return j;
}

json_t *
nics_json(const struct vm_info *i)
{
	json_t *j;
	uint32_t n;

	if (!i->has_devs)
		return json_null();
	j = json_array();
	for (n = 0; n < i->spec->nnics; n++)
		json_array_append_new(j, nic_json(i, n));
	return j;
}

/* --- the table ------------------------------------------------------------ */

/* Minutes that are left of a lease. */
static const char *
lease(const struct dev_stats *d, char buf[COUNT_LEN])
{
	uint64_t until = d->counts[DEVS_LEASE];
	time_t now = time(NULL);

	if (!d->counted || now < 0 || until <= (uint64_t)now)
		return "-";
	if (until == DEV_COUNT_MAX)
		return "forever";
	snprintf(buf, COUNT_LEN, "%llum",
	    (unsigned long long)((until - (uint64_t)now + 59) / 60));
	return buf;
}

static const char *
or_none(const char *s)
{
	return s == NULL ? "-" : s;
}

static void
print_nic(const struct vm_info *i, uint32_t idx)
{
	char b[4][COUNT_LEN], s[2][SCALED_LEN];
	const struct dev_stats *d;
	char *sw, *tap;
	struct view v;
	int k;

	look(i, idx, &v);
	d = v.d;
	k = d->counted != 0;
	tap = table_field(v.tap);
	sw = table_field(v.sw);
	printf("%-9s %7s %8s %-6s %-15s %-17s %-15s %9s %9s %7s %7s %7s %7s "
	       "%-15s %s\n",
	    v.name, or_none(v.state),
	    table_count(v.state != NULL, d->replaced, b[0]),
	    mode(&i->spec->nics[idx]), tap, or_none(v.mac), or_none(v.addr),
	    table_count(k, d->counts[DEVS_RX_FRAMES], b[1]),
	    table_count(k, d->counts[DEVS_TX_FRAMES], b[2]),
	    table_bytes(k, d->counts[DEVS_RX_BYTES], s[0]),
	    table_bytes(k, d->counts[DEVS_TX_BYTES], s[1]),
	    table_count(k, d->counts[DEVS_RX_DROPS] + d->counts[DEVS_TX_DROPS],
		b[3]),
	    lease(d, (char[COUNT_LEN]){ 0 }), sw, or_none(v.addr6));
	free(sw);
	free(tap);
}

void
print_nics(const struct vm_info *i)
{
	uint32_t n;

	if (!i->has_devs || i->spec->nnics == 0)
		return;
	printf("\n%-9s %7s %8s %-6s %-15s %-17s %-15s %9s %9s %7s %7s %7s %7s "
	       "%-15s %s\n",
	    "INTERFACE", "STATE", "REPLACED", "MODE", "TAP", "MAC", "ADDRESS",
	    "RX", "TX", "RXBYTES", "TXBYTES", "DROPS", "LEASE", "SWITCH",
	    "ADDRESS6");
	for (n = 0; n < i->spec->nnics; n++)
		print_nic(i, n);
}
