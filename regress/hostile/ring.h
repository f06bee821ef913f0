#ifndef HOSTILE_RING_H
#define HOSTILE_RING_H

/*
 * Attempts through the ring of a device process; ring.c in vmd-guest,
 * noring.c in vmd.  What came of it, or -1 with errno; ENXIO: it has none.
 * To be called where nothing of the ring is under way.
 */
long ring_try_open(int pid);
long ring_try_connect(int pid);
long ring_try_read(int pid);
long ring_try_register(int pid);

#endif
