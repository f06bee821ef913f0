/*
 * vcpu threads of the vm process.  Each runs one vcpu and does what the
 * requests of the VM ask before it enters the guest: hold (not started, or
 * paused) or stop.
 *
 * A kick sets the request, then immediate_exit, then signals the thread.
 * The thread clears immediate_exit and looks at the requests once more
 * before KVM_RUN, so no kick is lost.  What KVM still has to do for the last
 * port or MMIO access is completed before a vcpu counts as held.
 */
#include <sys/ioctl.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "lib/vmm/vmm_int.h"

#define VCPU_STACK (128 * 1024)
#define SIG_KICK   (SIGRTMIN + 1)

static void
on_kick(int sig)
{
}

/* Called with the lock held. */
static void
kick_all(struct vmm *v)
{
	struct vmm_vcpu *c;
	unsigned int i;

	for (i = 0; i < v->ncpus; i++) {
		c = &v->cpus[i];
		if (!c->alive || pthread_equal(c->thread, pthread_self()))
			continue;
		__atomic_store_n(&c->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		pthread_kill(c->thread, SIG_KICK);
	}
}

/* Called with the lock held. */
static int
all_held(const struct vmm *v)
{
	unsigned int i;

	for (i = 0; i < v->ncpus; i++)
		if (v->cpus[i].alive && !v->cpus[i].parked)
			return 0;
	return 1;
}

/* Have KVM finish the access that the last exit was about. */
static int
vcpu_complete(struct vmm_vcpu *c)
{
	while (c->pending) {
		c->pending = 0;
		__atomic_store_n(&c->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		if (ioctl(c->fd, KVM_RUN, 0) == -1)
			continue; /* EINTR: done */
		if (vmm_exit(c) == -1)
			return -1;
	}
	return 0;
}

/* Wait while the VM is held.  -1: this vcpu has to end. */
static int
vcpu_attend(struct vmm_vcpu *c)
{
	struct vmm *v = c->vmm;

	if (vcpu_complete(c) == -1)
		return -1;
	pthread_mutex_lock(&v->lock);
	c->parked = 1;
	pthread_cond_broadcast(&v->cond);
	while (atomic_load(&v->requests) == REQ_HOLD)
		pthread_cond_wait(&v->cond, &v->lock);
	c->parked = 0;
	pthread_mutex_unlock(&v->lock);
	return atomic_load(&v->requests) & REQ_STOP ? -1 : 0;
}

static int
vcpu_run(struct vmm_vcpu *c)
{
	char text[128];

	__atomic_store_n(&c->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	if (atomic_load(&c->vmm->requests) != 0)
		return 0;
	c->pending = 0;
	if (ioctl(c->fd, KVM_RUN, 0) == 0)
		return vmm_exit(c);
	if (errno == EINTR || errno == EAGAIN)
		return 0;
	if ((errno == EFAULT || errno == EHWPOISON) &&
	    c->run->exit_reason == EXIT_MEMORY_FAULT)
		return vmm_exit(c);
	snprintf(text, sizeof(text), "vcpu %u: KVM_RUN: %s", c->idx,
	    strerror(errno));
	vmm_end(c->vmm, VMM_END_FAILED, text);
	return -1;
}

static void *
vcpu_main(void *arg)
{
	struct vmm_vcpu *c = arg;
	struct vmm *v = c->vmm;
	int rc = 0;

	while (rc == 0) {
		if (atomic_load(&v->requests) != 0)
			rc = vcpu_attend(c);
		else
			rc = vcpu_run(c);
	}
	vmm_end(v, VMM_END_STOPPED, "stopped");
	pthread_mutex_lock(&v->lock);
	c->alive = 0;
	pthread_cond_broadcast(&v->cond);
	pthread_mutex_unlock(&v->lock);
	return NULL;
}

void
vmm_end(struct vmm *v, enum vmm_end how, const char *text)
{
	int first;

	pthread_mutex_lock(&v->lock);
	first = !v->ended;
	v->ended = 1;
	pthread_mutex_unlock(&v->lock);
	if (first)
		v->ops.ended(v->ops.arg, how, text);
	vmm_stop(v);
}

int
vmm_threads_start(struct vmm *v)
{
	struct sigaction sa;
	pthread_attr_t attr;
	sigset_t all, old;
	unsigned int i;
	int e = 0;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_kick;
	sigemptyset(&sa.sa_mask);
	if (sigaction(SIG_KICK, &sa, NULL) == -1)
		return -1;
	/* Threads take no signal but the kick, and faults. */
	sigfillset(&all);
	sigdelset(&all, SIG_KICK);
	sigdelset(&all, SIGSYS);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, VCPU_STACK);
	for (i = 0; i < v->ncpus && e == 0; i++) {
		v->cpus[i].alive = 1;
		e = pthread_create(&v->cpus[i].thread, &attr, vcpu_main,
		    &v->cpus[i]);
		if (e != 0)
			v->cpus[i].alive = 0;
		else
			v->cpus[i].have_thread = 1;
	}
	pthread_attr_destroy(&attr);
	sigaddset(&old, SIG_KICK);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (e != 0) {
		errno = e;
		return -1;
	}
	pthread_mutex_lock(&v->lock);
	while (!all_held(v))
		pthread_cond_wait(&v->cond, &v->lock);
	pthread_mutex_unlock(&v->lock);
	return 0;
}

void
vmm_threads_join(struct vmm *v)
{
	unsigned int i;

	pthread_mutex_lock(&v->lock);
	v->ended = 1;
	pthread_mutex_unlock(&v->lock);
	vmm_stop(v);
	for (i = 0; i < v->ncpus; i++) {
		if (v->cpus[i].have_thread)
			pthread_join(v->cpus[i].thread, NULL);
		v->cpus[i].have_thread = 0;
	}
}

static int
in_vcpu_thread(const struct vmm *v)
{
	unsigned int i;

	for (i = 0; i < v->ncpus; i++)
		if (v->cpus[i].have_thread &&
		    pthread_equal(v->cpus[i].thread, pthread_self()))
			return 1;
	return 0;
}

int
vmm_start(struct vmm *v)
{
	int started;

	pthread_mutex_lock(&v->lock);
	started = v->started;
	v->started = 1;
	pthread_mutex_unlock(&v->lock);
	if (started) {
		errno = EBUSY;
		return -1;
	}
	return vmm_resume(v);
}

int
vmm_pause(struct vmm *v)
{
	if (in_vcpu_thread(v)) {
		errno = EDEADLK;
		return -1;
	}
	pthread_mutex_lock(&v->lock);
	if (v->holds++ == 0) {
		atomic_fetch_or(&v->requests, REQ_HOLD);
		kick_all(v);
	}
	while (!all_held(v))
		pthread_cond_wait(&v->cond, &v->lock);
	pthread_mutex_unlock(&v->lock);
	return 0;
}

int
vmm_resume(struct vmm *v)
{
	unsigned int i;

	pthread_mutex_lock(&v->lock);
	if (v->holds == 0) {
		pthread_mutex_unlock(&v->lock);
		errno = EINVAL;
		return -1;
	}
	if (v->holds == 1) {
		/* So that a guest's watchdog forgives; it may not use it. */
		for (i = 0; i < v->ncpus; i++)
			ioctl(v->cpus[i].fd, KVM_KVMCLOCK_CTRL, 0);
		atomic_fetch_and(&v->requests, ~(unsigned int)REQ_HOLD);
		pthread_cond_broadcast(&v->cond);
	}
	v->holds--;
	pthread_mutex_unlock(&v->lock);
	return 0;
}

void
vmm_stop(struct vmm *v)
{
	pthread_mutex_lock(&v->lock);
	atomic_fetch_or(&v->requests, REQ_STOP);
	pthread_cond_broadcast(&v->cond);
	kick_all(v);
	pthread_mutex_unlock(&v->lock);
}

int
vmm_lock_held(struct vmm *v)
{
	pthread_mutex_lock(&v->lock);
	if (v->holds > 0 && all_held(v))
		return 0;
	pthread_mutex_unlock(&v->lock);
	errno = EBUSY;
	return -1;
}

void
vmm_unlock(struct vmm *v)
{
	pthread_mutex_unlock(&v->lock);
}
