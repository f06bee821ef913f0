# vmd-guest: everything below vmm.  boot.mk and dev.mk name their sources.
-include vmd/vm/boot.mk
-include vmd/vm/dev.mk

VM_SRCS = \
	vmd/vm/console.c \
	vmd/vm/devs.c \
	vmd/vm/devs_guest.c \
	vmd/vm/devs_say.c \
	vmd/vm/devs_stats.c \
	vmd/vm/huge.c \
	vmd/vm/machine.c \
	vmd/vm/main.c \
	vmd/vm/nores.c \
	vmd/vm/probe.c \
	vmd/vm/probe_guest.c \
	vmd/vm/viornd.c \
	vmd/vm/virtio_host.c \
	vmd/vm/vm.c

VMD_GUEST_SRCS = $(sort $(VM_SRCS) $(VMBOOT_SRCS) $(VMDEV_SRCS) $(VMM_SRCS) \
	$(DEV_SRCS) $(NET_SRCS) $(IO_SRCS) $(DISK_SRCS) $(VIRTIO_SRCS) lib/util/slim.c \
	proc/peer.c proc/proc.c $(IMSG_SRCS) $(PROTO_SRCS) $(SANDBOX_SRCS) \
	$(UTIL_SRCS))

# static-pie: it is started in an empty root, by descriptor.
VMD_GUEST_LDFLAGS = -static-pie -Wl,-z,relro,-z,now,-z,noexecstack \
	-Wl,--gc-sections
VMD_GUEST_LIBS = $(VMBOOT_LIBS) $(SANDBOX_LIBS) -levent_core \
	-Wl,-z,nodlopen -Wl,-u,libbsd_init_func -lbsd-ctor -lbsd -lmd \
	$(DISK_LIBS)

$(B)/vmd-guest: $(VMD_GUEST_SRCS:%.c=$(B)/obj/%.o)
	$(Q)$(CC) $(VMD_GUEST_LDFLAGS) -o $@ $^ $(VMD_GUEST_LIBS)

UNIT += vm_console_test
vm_console_test_SRCS = vmd/vm/console.c lib/util/fdlist.c lib/util/log.c \
	$(RING_SRCS)
vm_console_test_LIBS = -levent_core -lbsd -lutil

all: $(B)/vmd-guest

UNIT += huge_test
huge_test_SRCS = vmd/vm/huge.c $(GMEM_SRCS) lib/util/log.c
huge_test_LIBS = -levent_core -lbsd

# The real program with a bad vmm.
UNIT += vm_badpeer_test
vm_badpeer_test_SRCS = proc/spawn.c lib/util/fdlist.c $(GMEM_SRCS) \
	$(RING_SRCS) \
	$(IMSG_SRCS) $(PROTO_SRCS)
vm_badpeer_test_LIBS = -lbsd

$(B)/unit/vm_badpeer_test: | $(B)/vmd-guest $(B)/guest/tick.elf

# Their other end, with a transport and devices of the test.
DEVS_TEST_SRCS = vmd/vm/devs.c vmd/vm/devs_guest.c vmd/vm/devs_say.c \
	vmd/vm/devs_stats.c \
	proc/peer.c lib/virtio/page.c lib/virtio/vq_inflight.c lib/util/fdlist.c \
	$(GMEM_SRCS) lib/util/log.c $(IMSG_SRCS) $(PROTO_SRCS)
UNIT += devs_test devs_hostile_test
devs_test_SRCS = $(DEVS_TEST_SRCS)
devs_test_LIBS = -levent_core -lbsd
devs_hostile_test_SRCS = $(DEVS_TEST_SRCS)
devs_hostile_test_LIBS = -levent_core -lbsd
