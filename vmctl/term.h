#ifndef VMCTL_TERM_H
#define VMCTL_TERM_H

#include <signal.h>
#include <termios.h>

/*
 * The terminal of `vmctl console'.  All of it is of the one thread; there is
 * one at a time.
 */
struct term {
	int out_fd;	    /* standard output, without waiting */
	int raw;	    /* standard input is a terminal, now raw */
	sigset_t unblocked; /* for ppoll(2) */
	struct termios saved;
};

/* What arrived in ppoll(2) and asks us to end; 0: nothing did. */
extern volatile sig_atomic_t term_signal;

void term_open(struct term *t);
/* As the terminal was before. */
void term_restore(struct term *t);
/* Dies of the signal that arrived, if one did. */
void term_close(struct term *t);
/* To standard error, if it takes something: not worth waiting for. */
void term_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
