#ifndef SANDBOX_HOSTILE_H
#define SANDBOX_HOSTILE_H

/*
 * Test builds only (build/hostile): one layer of the sandbox is left out, so
 * that `vmctl audit' has something to find, and processes try on a signal
 * what they must not be able to do.  In every other build there is nothing
 * of this.
 */

#include <stddef.h>
#include <stdint.h>

#define HOSTILE_CAPS	 0x0001
#define HOSTILE_FDS	 0x0002 /* an open directory stays */
#define HOSTILE_FILTER	 0x0004
#define HOSTILE_IDS	 0x0008
#define HOSTILE_LANDLOCK 0x0010
#define HOSTILE_MEMORY	 0x0020 /* guest memory is mapped by everybody */
#define HOSTILE_NNP	 0x0040
#define HOSTILE_NODUMP	 0x0080
#define HOSTILE_NS	 0x0100 /* network, ipc and uts */
#define HOSTILE_PIDNS	 0x0200
#define HOSTILE_ROOT	 0x0400
#define HOSTILE_SLOT	 0x0800 /* all guests have the same ids */
#define HOSTILE_TREE	 0x1000 /* a process that nobody knows */
#define HOSTILE_USERNS	 0x2000

#ifdef HOSTILE
/* The layers left out: regress/hostile/hostile.py writes it to the file. */
struct hostile_mask {
	char mark[12];
	uint32_t layers;
};
extern const struct hostile_mask hostile_mask;
#define WITHOUT(layer)	 ((hostile_mask.layers & HOSTILE_##layer) != 0)
#define HOSTILE_PATIENCE 6 /* times what it is given elsewhere */
/* For how long vmctl audit lets a process be that it does not know. */
#define HOSTILE_UNKNOWN_S 3
struct io;
/* Arrange for attempts, and what the layers above want.  In each process. */
void hostile_init(void);
/* The ring of a device, to be tried as well. */
void hostile_ring(struct io *io);
/* If it is a file made for that, wait for attempts, until told to go on. */
void hostile_hold(int fd);
/*
 * A system call was denied.  1: the attempt goes on with an error, and what
 * was denied is told with it; 0: it is the end, as elsewhere.
 */
int hostile_denied(unsigned int nr);
/* A line of the log, by bare calls only. */
void sandbox_say(const char *text);
#else
#define WITHOUT(layer)	   0
#define HOSTILE_PATIENCE   1
#define HOSTILE_UNKNOWN_S  40 /* the start of a guest may take less */
#define hostile_init()	   ((void)0)
#define hostile_ring(io)   ((void)0)
#define hostile_hold(fd)   ((void)0)
#define hostile_denied(nr) 0
#endif

#endif
