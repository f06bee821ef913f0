#ifndef DEV_DEV_INT_H
#define DEV_DEV_INT_H

#include "vmd/dev/dev.h"

/*
 * What the files of a device process share: dev.c has the channels, the
 * orders and the loop, dev_start.c what comes before, dev_queue.c the
 * queues.  Errors of the processes above are fatal.
 */

struct ibuf;

/* dev.c */
/* A line of the log, or IMSG_CTL_READY, to vmm. */
void dev_send_line(struct dev *d, uint32_t type, int prio, const char *line);
void dev_say_ready(struct dev *d, uint32_t type, const struct dev_ready *r);
/* The guest broke queue `q'; it has to reset us. */
void dev_broken(struct dev *d, unsigned int q);
/* The channels are readable. */
void dev_vm_spoke(struct io_op *op, int res);
void dev_vmm_spoke(struct io_op *op, int res);

/* dev_start.c, in this order */
void dev_get_start(struct dev *d);
void dev_lock_up(void);
void dev_get_hello(struct dev *d);
void dev_make_io(struct dev *d);
/* 0 once the device is ready, -1 if it cannot be. */
int dev_open(struct dev *d);

/* dev_queue.c */
void dev_kicked(struct io_op *op, int res);
void dev_activate(struct dev *d, struct ibuf *body);
void dev_work_all(struct dev *d);
/* Show the guest what was done. */
void dev_publish(struct dev *d);
/*
 * After `n' operations have ended: look for more, or, if nothing moves, let
 * the guest kick again.  1 if there is nothing to do but wait.
 */
int dev_rest(struct dev *d, int n);

#endif
