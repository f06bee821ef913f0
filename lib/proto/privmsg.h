#ifndef PROTO_PRIVMSG_H
#define PROTO_PRIVMSG_H

#include <stdint.h>

#include "lib/imsg/imsg.h"
#include "lib/proto/netconf.h"

/*
 * Bodies of the messages between the parent and priv.  Each pair writes and
 * reads one struct; 0, or -1 with errno as wire.h says.  A getter allocates
 * the strings; free them with the *_fini function.
 *
 *	PRIV_INIT	first, to each new priv: tag and prefixes; again when
 *			the prefixes change, which is for new interfaces
 *	PRIV_NIC, PRIV_SWITCH	all of one interface or switch, or nothing
 *	PRIV_SWEEP	after that: what has our tag and was not named goes
 *	PRIV_NIC_DEL, PRIV_SWITCH_DEL	undo
 *	PRIV_CHECK	what of this host may keep a guest offline
 *
 * A priv that starts while guests run is told of their interfaces and of
 * the switches with PRIVF_ADOPT.  What of them cannot be had any more is an
 * error, but they stay.  Each is answered by one PRIV_RESULT.
 *
 * priv turns forwarding on for the whole host while an interface with NAT or
 * forwards is there.  That this is its work is told in each answer; whoever
 * hands it back to the next priv has it turned off in the end, also after
 * both have been killed.  So it is with the rule of the VRFs, which goes with
 * our last one unless it was there before.
 *
 * An interface: nothing of it is left when it is refused, and nothing when
 * its descriptors are closed and PRIV_NIC_DEL was answered.  A name, group or
 * address that cannot be had is an error; a group without a number in
 * /etc/iproute2/group (as it was when priv started) is not, it is a set
 * `group_NAME' in our nftables table then, as all are.  The route to guest6
 * exists if it is UP.  A bridge that is not in the rdomain that is asked for
 * its member is an error.  LOCKED on a bridge: the port learns no address and
 * passes frames of `mac' only (before Linux 5.18: the former).
 *
 * A switch: one that is absent is made, if it is called bridgeN or vebN, and
 * is ours from then on (`created', also when a daemon that was killed made
 * it): its alias, rdomain, up or down follow each PRIV_SWITCH.  It is made
 * again for an interface if somebody has removed it.  One that is somebody
 * else's is used as it is, but is brought up if UP; if it is not in the
 * rdomain that is asked for that is an error.  PRIV_SWITCH_DEL removes ours,
 * and is VMERR_BUSY while it has members; somebody else's that was brought up
 * is put down again.  That it was is told in `created'; whoever hands it back
 * to the next priv by RAISED has that done in the end.  The MAC and the MTU
 * that a bridge without members had are set again when the last of our
 * interfaces has left it.
 *
 * When the channel ends, or with CTL_SHUTDOWN, all that is ours but taps is
 * removed, and forwarding is as it was.
 */

#define PRIV_TAG_MAX   16  /* bytes of the daemon's tag */
#define PRIV_ALIAS_MAX 200 /* bytes of an alias */
#define PRIV_GROUP_MAX 15
#define PRIV_MAX_NOTES 16 /* of one check */
#define PRIV_NOTE_MAX  500
#define PRIV_KEPT_MAX  4000

enum {
	PRIVF_UP = 0x01,
	PRIVF_ADOPT = 0x02, /* it is there already and is ours */
	PRIVF_RDOMAIN = 0x04,
	PRIVF_LOCAL = 0x08, /* host4 and, if INET6, host6 are set on it */
	PRIVF_INET6 = 0x10,
	PRIVF_NAT = 0x20,
	PRIVF_ISOLATED = 0x40,
	PRIVF_LOCKED = 0x80,
	PRIVF_ALL = 0xff,
	PRIVF_RAISED = 0x100, /* a switch: an earlier priv brought it up */
	PRIVF_SWITCH = PRIVF_UP | PRIVF_ADOPT | PRIVF_RDOMAIN | PRIVF_INET6 |
	    PRIVF_RAISED,
};

/* Of a switch: we made it; or it is somebody else's and was down. */
enum {
	PRIVSW_OURS = 0x01,
	PRIVSW_RAISED = 0x02,
};

/*
 * Forwarding that was off before; and with PRIVFWD_4, redirects too.  The
 * rule of the VRFs that was there before ours.
 */
enum {
	PRIVFWD_4 = 0x01,
	PRIVFWD_6 = 0x02,
	PRIVFWD_NO_REDIRECTS = 0x04,
	PRIVFWD_RULE = 0x08,
	PRIVFWD_ALL = 0x0f,
};

struct priv_init {
	char *tag;	       /* in the name or alias of all that is ours */
	uint32_t prefix, mask; /* of local interfaces */
	uint8_t prefix6[16];   /* a /64 */
	uint32_t forwarding;   /* PRIVFWD_*, as of an answer of the last priv */
	char *kept;	       /* as of it, or NULL */
};
int priv_init_put(struct ibuf *b, const struct priv_init *i);
int priv_init_get(struct ibuf *b, struct priv_init *i);
void priv_init_fini(struct priv_init *i);

struct priv_nic {
	char *ifname;  /* "tapN"; NULL: the next free one */
	char *alias;   /* goes behind the tag */
	char *bridge;  /* or NULL */
	char *group;   /* of the interface, or NULL */
	char *swgroup; /* of its switch, or NULL */
	uint32_t flags;
	uint32_t rdomain; /* with PRIVF_RDOMAIN; 0: none */
	uint32_t mtu;	  /* 0: as the bridge has it, or 1500 */
	uint32_t pairs;	  /* of queues: so many descriptors */
	uint8_t mac[6];	  /* of the guest */
	uint32_t host4, guest4;
	uint8_t host6[16], guest6[16];
	uint32_t nforwards;
	struct net_forward forwards[NET_MAX_FORWARDS];
};
int priv_nic_put(struct ibuf *b, const struct priv_nic *n);
int priv_nic_get(struct ibuf *b, struct priv_nic *n);
void priv_nic_fini(struct priv_nic *n);

struct priv_switch {
	char *ifname; /* "bridgeN" or "vebN" */
	char *alias;
	uint32_t flags; /* PRIVF_SWITCH */
	uint32_t rdomain;
};
int priv_switch_put(struct ibuf *b, const struct priv_switch *s);
int priv_switch_get(struct ibuf *b, struct priv_switch *s);
void priv_switch_fini(struct priv_switch *s);

/* For PRIV_NIC_DEL and PRIV_SWITCH_DEL. */
struct priv_name {
	char *ifname;
};
int priv_name_put(struct ibuf *b, const struct priv_name *n);
int priv_name_get(struct ibuf *b, struct priv_name *n);
void priv_name_fini(struct priv_name *n);

/*
 * `kept' is what turning forwarding on changes of single interfaces: words
 * "4NAME", which did forward IPv4, and "6NAME", which had accept_ra 1; as
 * many as have room.
 *
 * The answer to each.  To PRIV_NIC: name, MAC and MTU of the tap, and its
 * descriptors, one a pair; with PRIVF_ADOPT there are none.
 */
struct priv_result {
	uint32_t err; /* enum vmerr */
	char *text;   /* why, a sentence; NULL if err is VMERR_OK */
	char *ifname;
	uint8_t mac[6];
	uint32_t mtu;
	uint32_t created;    /* a switch: PRIVSW_* */
	uint32_t forwarding; /* PRIVFWD_*: turned on by priv, and so on */
	char *kept;	     /* beside that, see below; NULL: nothing */
	uint32_t nnotes;     /* of PRIV_CHECK */
	char *notes[PRIV_MAX_NOTES];
};
int priv_result_put(struct ibuf *b, const struct priv_result *r);
int priv_result_get(struct ibuf *b, struct priv_result *r);
void priv_result_fini(struct priv_result *r);

#endif
