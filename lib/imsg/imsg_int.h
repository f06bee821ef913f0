#ifndef IMSG_IMSG_INT_H
#define IMSG_IMSG_INT_H

/* On the wire; see imsg.c. */
#define IMSG_FD_MARK	0x80000000U
#define IMSG_COUNT_SIZE 4

#endif
