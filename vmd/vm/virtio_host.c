/*
 * What the virtio transport needs of libvmm, as it needs it.  In the vm
 * process, any thread.
 */
#include "lib/vmm/vmm.h"
#include "vmd/vm/virtio.h"

static int
host_ioeventfd(void *arg, int fd, uint64_t gpa, unsigned int len, int assign)
{
	return vmm_ioeventfd(arg, fd, gpa, len, 0, 0, assign);
}

static int
host_irqfd(void *arg, int fd, unsigned int gsi, int resample, int assign)
{
	return vmm_irqfd(arg, fd, gsi, resample, assign);
}

static int
host_msi_new(void *arg, unsigned int *gsi)
{
	return vmm_msi_new(arg, gsi);
}

static int
host_msi_set(void *arg, unsigned int gsi, uint64_t addr, uint32_t data)
{
	return vmm_msi_set(arg, gsi, addr, data);
}

static void
host_msi_free(void *arg, unsigned int gsi)
{
	vmm_msi_free(arg, gsi);
}

const struct virtio_host_ops virtio_host_vmm = {
	.ioeventfd = host_ioeventfd,
	.irqfd = host_irqfd,
	.msi_new = host_msi_new,
	.msi_set = host_msi_set,
	.msi_free = host_msi_free,
};
