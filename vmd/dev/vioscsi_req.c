/*
 * Requests of the SCSI host, in the device process of the CD-ROM: bytes the
 * guest wrote become commands for cdrom.c, and its results become
 * responses.  Each byte is copied once before it is looked at.  Virtio 1.2,
 * 5.6.6.
 */
#include <endian.h>
#include <string.h>
#include <linux/virtio_scsi.h>

#include "vmd/dev/vioscsi_req.h"

_Static_assert(sizeof(struct virtio_scsi_cmd_req) == VIOSCSI_HEADER, "request");
_Static_assert(sizeof(struct virtio_scsi_cmd_resp) == VIOSCSI_RESPONSE,
    "response");

/* Target 0, unit 0, in either of the two ways to say it; the rest is 0. */
static int
is_ours(const uint8_t lun[8])
{
	static const uint8_t zero[4];

	return lun[0] == 1 && lun[1] == 0 &&
	    (lun[2] == 0x40 || lun[2] == 0x00) && lun[3] == 0 &&
	    memcmp(lun + 4, zero, 4) == 0;
}

/* --- commands --------------------------------------------------------- */

int
vioscsi_req_begin(struct vioscsi_req *r, struct cdrom *cd,
    const struct vq_chain *c)
{
	struct virtio_scsi_cmd_req h;
	uint64_t len;

	memset(r, 0, sizeof(*r));
	if (c->wrlen < VIOSCSI_RESPONSE ||
	    vq_iov_get(c->rd, c->nrd, 0, &h, sizeof(h)) != sizeof(h))
		return -1;
	r->room = c->wrlen - VIOSCSI_RESPONSE;
	r->out = c->rdlen - VIOSCSI_HEADER;
	r->response = VIRTIO_SCSI_S_BAD_TARGET;
	if (!is_ours(h.lun))
		return 0;
	r->response = VIRTIO_SCSI_S_OK;
	cdrom_command(cd, h.cdb, &r->result);
	len = (uint64_t)r->result.count * CDROM_BLOCK;
	if (len > r->room || r->result.reply_len > r->room) {
		r->response = VIRTIO_SCSI_S_OVERRUN;
		r->result.reply_len = 0;
		return 0;
	}
	r->off = r->result.lba * CDROM_BLOCK;
	r->len = (uint32_t)len;
	return 0;
}

uint32_t
vioscsi_req_end(struct vioscsi_req *r, const struct vq_chain *c, int error)
{
	struct virtio_scsi_cmd_resp h;
	const struct cdrom_result *res = &r->result;
	uint32_t len = r->len;

	if (error != 0) {
		cdrom_unreadable(&r->result);
		len = 0;
	} else if (res->reply_len > 0) {
		len = res->reply_len;
		vq_iov_put(c->wr, c->nwr, VIOSCSI_RESPONSE, res->reply, len);
	}
	memset(&h, 0, sizeof(h));
	h.resid = htole32(r->room > 0 ? r->room - len : r->out);
	h.response = r->response;
	if (r->response == VIRTIO_SCSI_S_OK) {
		h.status = res->status;
		h.sense_len = htole32(res->sense_len);
		memcpy(h.sense, res->sense, res->sense_len);
	}
	vq_iov_put(c->wr, c->nwr, 0, &h, sizeof(h));
	return VIOSCSI_RESPONSE + len;
}

/* --- control ---------------------------------------------------------- */

/*
 * A read that was begun cannot be called back.  What all functions but the
 * queries ask for is true when nothing is in flight any more, though.
 */
static int
task_management(struct cdrom *cd, const struct vq_chain *c, int *hold)
{
	struct virtio_scsi_ctrl_tmf_req h;
	struct virtio_scsi_ctrl_tmf_resp resp;

	if (c->wrlen < sizeof(resp) ||
	    vq_iov_get(c->rd, c->nrd, 0, &h, sizeof(h)) != sizeof(h))
		return -1;
	resp.response = VIRTIO_SCSI_S_OK;
	if (!is_ours(h.lun)) {
		resp.response = VIRTIO_SCSI_S_BAD_TARGET;
	} else {
		switch (le32toh(h.subtype)) {
		case VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET:
		case VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET:
			cdrom_reset(cd);
			/* FALLTHROUGH */
		case VIRTIO_SCSI_T_TMF_ABORT_TASK:
		case VIRTIO_SCSI_T_TMF_ABORT_TASK_SET:
		case VIRTIO_SCSI_T_TMF_CLEAR_ACA:
		case VIRTIO_SCSI_T_TMF_CLEAR_TASK_SET:
			*hold = 1;
			break;
		case VIRTIO_SCSI_T_TMF_QUERY_TASK:
		case VIRTIO_SCSI_T_TMF_QUERY_TASK_SET:
			break;
		default:
			resp.response = VIRTIO_SCSI_S_FUNCTION_REJECTED;
			break;
		}
	}
	vq_iov_put(c->wr, c->nwr, 0, &resp, sizeof(resp));
	return (int)sizeof(resp);
}

/* There are no events that a guest could be told of. */
static int
notification(const struct vq_chain *c)
{
	struct virtio_scsi_ctrl_an_req h;
	struct virtio_scsi_ctrl_an_resp resp;

	if (c->wrlen < sizeof(resp) ||
	    vq_iov_get(c->rd, c->nrd, 0, &h, sizeof(h)) != sizeof(h))
		return -1;
	memset(&resp, 0, sizeof(resp));
	resp.response = is_ours(h.lun) ? VIRTIO_SCSI_S_OK :
					 VIRTIO_SCSI_S_BAD_TARGET;
	vq_iov_put(c->wr, c->nwr, 0, &resp, sizeof(resp));
	return (int)sizeof(resp);
}

/* One that nobody knows has no room for an answer that anybody knows. */
int
vioscsi_control(struct cdrom *cd, const struct vq_chain *c, int *hold)
{
	__virtio32 type;

	*hold = 0;
	if (vq_iov_get(c->rd, c->nrd, 0, &type, sizeof(type)) != sizeof(type))
		return -1;
	switch (le32toh(type)) {
	case VIRTIO_SCSI_T_TMF:
		return task_management(cd, c, hold);
	case VIRTIO_SCSI_T_AN_QUERY:
	case VIRTIO_SCSI_T_AN_SUBSCRIBE:
		return notification(c);
	default:
		return 0;
	}
}
