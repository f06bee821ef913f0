#ifndef DEV_VIOSCSI_REQ_H
#define DEV_VIOSCSI_REQ_H

#include <stdint.h>

#include "lib/virtio/vq.h"
#include "vmd/dev/cdrom.h"

/*
 * Requests of a virtio SCSI host with one target, a CD-ROM: from the bytes
 * of a chain, of any layout, to commands, and back.  No input or output;
 * Virtio 1.2, 5.6.6.
 */
#define VIOSCSI_HEADER	 51  /* of a request: 19 bytes and the command */
#define VIOSCSI_RESPONSE 108 /* to it: 12 bytes and sense data */

struct vioscsi_req {
	struct cdrom_result result;
	uint8_t response; /* of the transport, VIRTIO_SCSI_S_* */
	uint32_t room;	  /* for data, behind the response */
	uint32_t out;	  /* data the guest sent and nobody wants */
	uint64_t off;	  /* of the medium, bytes */
	uint32_t len;	  /* to read, bytes; 0: nothing */
};

/*
 * Do the request in `c', up to what is to be read: `r->len' bytes at
 * `r->off' of the medium, to be put at byte VIOSCSI_RESPONSE of c->wr, where
 * there is room for them.  0, or -1 if `c' has no room for a header or a
 * response.
 */
int vioscsi_req_begin(struct vioscsi_req *r, struct cdrom *cd,
    const struct vq_chain *c);
/*
 * Put the response into `c', and the data if it was not read; `error' is
 * that of reading.  Returns how many bytes of c->wr have been written.
 */
uint32_t
vioscsi_req_end(struct vioscsi_req *r, const struct vq_chain *c, int error);

/*
 * A request of the control queue: done and answered.  Returns how many bytes
 * of c->wr have been written, or -1 as above.  `*hold' is 1 if the guest is
 * to see the answer when nothing is in flight that was asked for before.
 */
int vioscsi_control(struct cdrom *cd, const struct vq_chain *c, int *hold);

#endif
