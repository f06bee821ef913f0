#ifndef VM_CONSOLE_H
#define VM_CONSOLE_H

#include <stddef.h>
#include <stdint.h>

struct event_base;
struct uart;

/*
 * The serial console: from the UART to everybody who looks, and back.
 *
 * Output goes into the history ring, which is also the queue of every
 * reader: each has a position in it and gets what its descriptor takes
 * without blocking.  Who falls behind by more than the ring is skipped
 * ahead; the guest never waits.  Input comes from the pty and from one
 * writer among the attached sockets, and waits for room in the UART.
 */

#define CONSOLE_MAX	64	      /* sockets at a time */
#define CONSOLE_LOG_MAX (64ULL << 20) /* size of a console log */

struct console;

/*
 * `ring' is the history's memfd and stays the caller's; `tty' (master side)
 * and `log' are taken, -1 if there is none.  NULL with errno.
 */
struct console *
console_new(struct event_base *base, int ring, int tty, int log);
/* Where input goes; before any vcpu runs. */
void console_uart(struct console *c, struct uart *u);
/* For struct uart_ops: vcpu threads, bus lock held. */
void console_output(void *arg, const uint8_t *buf, size_t len);
void console_room(void *arg);
/*
 * Attach the socket `*fd', which is taken on success, with VMOP_* flags.
 * Returns 1 if it may type, 0 if it only looks, or -1 with errno EMFILE or
 * ENOMEM.
 */
int console_attach(struct console *c, int *fd, uint32_t flags);
/* Give every reader what it takes at once, then close them all. */
void console_free(struct console *c);

#endif
