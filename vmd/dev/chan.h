#ifndef DEV_CHAN_H
#define DEV_CHAN_H

#include "lib/imsg/imsg.h"

/*
 * A channel of a device process: imsg on a blocking stream socket, without
 * an event loop.  Both ends above are trusted to read.
 */

/* `fd' stays open for the process' life. */
void chan_init(struct imsgbuf *ib, int fd);
/* Send; takes `body' (may be NULL) in every case.  0 or -1 with errno. */
int chan_send(struct imsgbuf *ib, uint32_t type, struct ibuf *body);
/*
 * Wait for one message, to be freed with imsg_free(); `body' views what
 * follows the header.  0, or -1 with errno, EPIPE: end of file.
 */
int chan_recv(struct imsgbuf *ib, struct imsg *m, struct ibuf *body);
/* The body of a message that was got.  0, or -1: it is too short. */
int chan_body(struct imsg *m, struct ibuf *body);

#endif
