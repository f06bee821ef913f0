/*
 * Links of the host, in priv: what they are, and what becomes of them.
 *
 * All by rtnetlink(7).  A link is ours if its alias begins with our tag.  The
 * request that makes one cannot set that: until the next one does, its name
 * has the tag, so that at no time there is one of ours that nobody knows.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "vmd/priv/priv_int.h"

/* --- reading ------------------------------------------------------------- */

static void
parse_info(const struct nlattr *info, struct link *l)
{
	const struct nlattr *tb[IFLA_INFO_DATA + 1];
	const struct nlattr *data[IFLA_TUN_NUM_DISABLED_QUEUES + 1];

	nl_nested(info, tb, IFLA_INFO_DATA);
	nl_str(tb[IFLA_INFO_KIND], l->kind, sizeof(l->kind));
	nl_nested(tb[IFLA_INFO_DATA], data, IFLA_TUN_NUM_DISABLED_QUEUES);
	if (strcmp(l->kind, "vrf") == 0) {
		l->table = nl_u32(data[IFLA_VRF_TABLE], 0);
	} else if (strcmp(l->kind, "tun") == 0) {
		l->persist = nl_u8(data[IFLA_TUN_PERSIST], 0);
		l->owner = nl_u32(data[IFLA_TUN_OWNER], UINT32_MAX);
		l->queues = nl_u32(data[IFLA_TUN_NUM_QUEUES], 0) +
		    nl_u32(data[IFLA_TUN_NUM_DISABLED_QUEUES], 0);
	}
}

int
link_parse(const struct nlmsghdr *nh, struct link *l)
{
	const struct nlattr *tb[IFLA_GROUP + 1];
	struct ifinfomsg ifi;

	memset(l, 0, sizeof(*l));
	if (nh->nlmsg_type != RTM_NEWLINK ||
	    mnl_nlmsg_get_payload_len(nh) < sizeof(ifi))
		return -1;
	memcpy(&ifi, mnl_nlmsg_get_payload(nh), sizeof(ifi));
	if (ifi.ifi_index <= 0)
		return -1;
	nl_attrs(nh, sizeof(ifi), tb, IFLA_GROUP);
	l->index = ifi.ifi_index;
	l->flags = ifi.ifi_flags;
	nl_str(tb[IFLA_IFNAME], l->name, sizeof(l->name));
	nl_str(tb[IFLA_IFALIAS], l->alias, sizeof(l->alias));
	nl_bytes(tb[IFLA_ADDRESS], l->mac, sizeof(l->mac));
	l->mtu = nl_u32(tb[IFLA_MTU], 0);
	l->master = nl_u32(tb[IFLA_MASTER], 0);
	l->group = nl_u32(tb[IFLA_GROUP], 0);
	parse_info(tb[IFLA_LINKINFO], l);
	return 0;
}

static int
keep_link(const struct nlmsghdr *nh, void *arg)
{
	struct link *l = arg, got;

	if (nh != NULL && link_parse(nh, &got) == 0)
		*l = got;
	return 0;
}

static int
get_one(struct nl_req *r, struct link *l)
{
	memset(l, 0, sizeof(*l));
	if (nl_talk(r, keep_link, l) == -1)
		return -1;
	if (l->index == 0) {
		errno = ENODEV;
		return -1;
	}
	return 0;
}

int
link_by_name(const char *name, struct link *l)
{
	struct nl_req r;

	nl_begin(&r, RTM_GETLINK, 0, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(&r.nh, IFLA_IFNAME, name);
	return get_one(&r, l);
}

int
link_by_index(int index, struct link *l)
{
	struct ifinfomsg *ifi;
	struct nl_req r;

	ifi = nl_begin(&r, RTM_GETLINK, 0, sizeof(*ifi));
	ifi->ifi_index = index;
	return get_one(&r, l);
}

struct list {
	struct link *links;
	size_t n, room;
};

static int
list_add(const struct nlmsghdr *nh, void *arg)
{
	struct list *all = arg;
	struct link *bigger;
	size_t room;

	if (nh == NULL) {
		all->n = 0;
		return 0;
	}
	if (all->n == all->room) {
		room = all->room == 0 ? 16 : all->room * 2;
		bigger = reallocarray(all->links, room, sizeof(*bigger));
		if (bigger == NULL)
			return -1;
		all->links = bigger;
		all->room = room;
	}
	if (link_parse(nh, &all->links[all->n]) == 0)
		all->n++;
	return 0;
}

int
link_all(struct link **links, size_t *n)
{
	struct list all = { NULL, 0, 0 };
	struct nl_req r;

	nl_begin(&r, RTM_GETLINK, NLM_F_DUMP, sizeof(struct ifinfomsg));
	if (nl_talk(&r, list_add, &all) == -1) {
		free(all.links);
		return -1;
	}
	*links = all.links;
	*n = all.n;
	return 0;
}

int
link_each(int (*fn)(const struct link *l, void *arg), void *arg)
{
	struct link *links;
	size_t i, n;
	int rc = 0;

	if (link_all(&links, &n) == -1)
		return -1;
	for (i = 0; i < n && rc == 0; i++)
		rc = fn(&links[i], arg);
	free(links);
	return rc;
}

/* As much of a tag as has room. */
static void
half_made_name(char name[IFNAMSIZ])
{
	snprintf(name, IFNAMSIZ, "vmd%.12s", priv.tag);
}

int
link_is_half_made(const struct link *l)
{
	char name[IFNAMSIZ];

	half_made_name(name);
	return strcmp(l->name, name) == 0 &&
	    (strcmp(l->kind, "bridge") == 0 || strcmp(l->kind, "vrf") == 0);
}

int
link_is_ours(const struct link *l)
{
	char want[LINK_ALIAS_LEN];

	if (link_is_half_made(l))
		return 1;
	snprintf(want, sizeof(want), "vmd %s ", priv.tag);
	return strncmp(l->alias, want, strlen(want)) == 0;
}

/* --- changing ------------------------------------------------------------ */

static void
put_alias(struct nl_req *r, const char *text)
{
	char alias[LINK_ALIAS_LEN];

	snprintf(alias, sizeof(alias), "vmd %s %s", priv.tag, text);
	mnl_attr_put_strz(&r->nh, IFLA_IFALIAS, alias);
}

int
link_set(int index, const struct link_set *s)
{
	struct ifinfomsg *ifi;
	struct nl_req r;

	ifi = nl_begin(&r, RTM_NEWLINK, 0, sizeof(*ifi));
	ifi->ifi_index = index;
	if (s->up != -1) {
		ifi->ifi_change = IFF_UP;
		ifi->ifi_flags = s->up ? IFF_UP : 0;
	}
	if (s->name != NULL)
		mnl_attr_put_strz(&r.nh, IFLA_IFNAME, s->name);
	if (s->alias != NULL)
		put_alias(&r, s->alias);
	if (s->mac != NULL)
		mnl_attr_put(&r.nh, IFLA_ADDRESS, 6, s->mac);
	if (s->mtu != -1)
		mnl_attr_put_u32(&r.nh, IFLA_MTU, (uint32_t)s->mtu);
	if (s->group != -1)
		mnl_attr_put_u32(&r.nh, IFLA_GROUP, (uint32_t)s->group);
	if (s->master != -1)
		mnl_attr_put_u32(&r.nh, IFLA_MASTER, (uint32_t)s->master);
	return nl_talk(&r, NULL, NULL);
}

/* Begin to make a link: another one that was begun is of no use. */
static int
begin_link(struct nl_req *r)
{
	char name[IFNAMSIZ];
	struct link l;

	half_made_name(name);
	if (link_by_name(name, &l) == 0) {
		if (!link_is_half_made(&l)) {
			errno = EEXIST;
			return -1;
		}
		if (link_del(l.index) == -1)
			return -1;
	}
	nl_begin(r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL,
	    sizeof(struct ifinfomsg));
	mnl_attr_put_strz(&r->nh, IFLA_IFNAME, name);
	return 0;
}

static int
finish_link(const char *name, const char *alias)
{
	struct link_set s = LINK_SET_INIT;
	char made[IFNAMSIZ];
	struct link l;
	int saved_errno;

	half_made_name(made);
	if (link_by_name(made, &l) == -1)
		return -1;
	s.name = name;
	s.alias = alias;
	/* One of its own: else it changes as members come and go. */
	l.mac[0] = 0xfe;
	s.mac = l.mac;
	if (link_set(l.index, &s) == 0)
		return l.index;
	saved_errno = errno;
	link_del(l.index);
	errno = saved_errno;
	return -1;
}

int
link_add_bridge(const char *name, const char *alias)
{
	struct nlattr *info, *data;
	struct nl_req r;

	if (begin_link(&r) == -1)
		return -1;
	info = mnl_attr_nest_start(&r.nh, IFLA_LINKINFO);
	mnl_attr_put_strz(&r.nh, IFLA_INFO_KIND, "bridge");
	data = mnl_attr_nest_start(&r.nh, IFLA_INFO_DATA);
	mnl_attr_put_u32(&r.nh, IFLA_BR_STP_STATE, 0);
	mnl_attr_nest_end(&r.nh, data);
	mnl_attr_nest_end(&r.nh, info);
	if (nl_talk(&r, NULL, NULL) == -1)
		return -1;
	return finish_link(name, alias);
}

int
link_add_vrf(const char *name, const char *alias, uint32_t table)
{
	struct nlattr *info, *data;
	struct nl_req r;

	if (begin_link(&r) == -1)
		return -1;
	info = mnl_attr_nest_start(&r.nh, IFLA_LINKINFO);
	mnl_attr_put_strz(&r.nh, IFLA_INFO_KIND, "vrf");
	data = mnl_attr_nest_start(&r.nh, IFLA_INFO_DATA);
	mnl_attr_put_u32(&r.nh, IFLA_VRF_TABLE, table);
	mnl_attr_nest_end(&r.nh, data);
	mnl_attr_nest_end(&r.nh, info);
	if (nl_talk(&r, NULL, NULL) == -1)
		return -1;
	return finish_link(name, alias);
}

int
link_del(int index)
{
	struct ifinfomsg *ifi;
	struct nl_req r;

	ifi = nl_begin(&r, RTM_DELLINK, 0, sizeof(*ifi));
	ifi->ifi_index = index;
	return nl_talk(&r, NULL, NULL);
}

/* --- members of bridges -------------------------------------------------- */

int
link_port(int index, int isolated, int locked)
{
	struct ifinfomsg *ifi;
	struct nlattr *port;
	struct nl_req r;

	ifi = nl_begin(&r, RTM_SETLINK, 0, sizeof(*ifi));
	ifi->ifi_family = AF_BRIDGE;
	ifi->ifi_index = index;
	port = mnl_attr_nest_start(&r.nh, IFLA_PROTINFO | NLA_F_NESTED);
	mnl_attr_put_u8(&r.nh, IFLA_BRPORT_ISOLATED, isolated != 0);
	mnl_attr_put_u8(&r.nh, IFLA_BRPORT_LEARNING, !locked);
	mnl_attr_put_u8(&r.nh, IFLA_BRPORT_LOCKED, locked != 0);
	mnl_attr_nest_end(&r.nh, port);
	return nl_talk(&r, NULL, NULL);
}

int
link_fdb(int index, const uint8_t *mac)
{
	struct ndmsg *nd;
	struct nl_req r;

	nd = nl_begin(&r, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE,
	    sizeof(*nd));
	nd->ndm_family = AF_BRIDGE;
	nd->ndm_ifindex = index;
	nd->ndm_state = NUD_NOARP; /* stays, unlike what is learned */
	nd->ndm_flags = NTF_MASTER;
	mnl_attr_put(&r.nh, NDA_LLADDR, 6, mac);
	return nl_talk(&r, NULL, NULL);
}
