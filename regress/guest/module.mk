# Guests of our own and the tests that run them.
#	make guest-payloads build/regress/vmrun
GUEST_PAYLOADS = \
	acpi \
	blk \
	blkbad \
	blkmore \
	blkrun \
	diskbench \
	emul \
	hello \
	net \
	netuser \
	netbench \
	pci \
	reset \
	rtc \
	scsi \
	smp \
	tick \
	timer \
	uart \
	virtbad \
	virtio \
	vmmci \
	void

GUEST_CFLAGS = -std=gnu11 $(WARN) $(WERROR) -O2 -ffreestanding \
	-mgeneral-regs-only -mno-red-zone -fcf-protection=none -fno-pic \
	-fno-stack-protector -fno-asynchronous-unwind-tables \
	-fno-tree-loop-distribute-patterns -Wno-array-bounds \
	-Iregress/guest/lib
GUEST_HDRS = $(wildcard regress/guest/lib/*.h)
GUEST_LIB = $(B)/guest/lib/start.o $(B)/guest/lib/guest.o \
	$(B)/guest/lib/blk.o $(B)/guest/lib/virtio.o
# With ap_main().
$(B)/guest/smp.elf $(B)/guest/blk.elf: GUEST_LIB += $(B)/guest/lib/smp.o
$(B)/guest/smp.elf $(B)/guest/blk.elf: $(B)/guest/lib/smp.o

$(B)/guest/net.elf $(B)/guest/netuser.elf: GUEST_LIB += $(B)/guest/lib/net.o
$(B)/guest/net.elf $(B)/guest/netuser.elf: $(B)/guest/lib/net.o
$(B)/guest/net.elf $(B)/guest/netbench.elf: GUEST_LIB += $(B)/guest/lib/net.o
$(B)/guest/net.elf $(B)/guest/netbench.elf: $(B)/guest/lib/net.o

$(B)/guest/blkbad.elf $(B)/guest/virtbad.elf: GUEST_LIB += \
	$(B)/guest/lib/vbad.o
$(B)/guest/blkbad.elf $(B)/guest/virtbad.elf: $(B)/guest/lib/vbad.o

$(B)/guest/%.o: regress/guest/%.c $(GUEST_HDRS)
	@mkdir -p $(@D)
	$(Q)$(CC) $(GUEST_CFLAGS) -c -o $@ $<

$(B)/guest/%.o: regress/guest/%.S
	@mkdir -p $(@D)
	$(Q)$(CC) -c -o $@ $<

$(B)/guest/%.elf: $(B)/guest/%.o $(GUEST_LIB) regress/guest/lib/guest.ld
	$(Q)$(CC) -static -nostdlib -no-pie -Wl,--build-id=none \
		-Wl,-z,noexecstack -Wl,--no-warn-rwx-segments \
		-T regress/guest/lib/guest.ld -o $@ $(filter %.o,$^)

guest-payloads: $(GUEST_PAYLOADS:%=$(B)/guest/%.elf)

.PHONY: guest-payloads

VMRUN_SRCS = $(sort regress/guest/vmrun.c regress/guest/vmrun_net.c proc/peer.c proc/spawn.c \
	$(IMSG_SRCS) $(PROTO_SRCS) $(UTIL_SRCS))

$(B)/regress/vmrun: $(VMRUN_SRCS:%.c=$(B)/obj/%.o)
	@mkdir -p $(@D)
	$(Q)$(CC) -pie -o $@ $^ -levent_core -lbsd -lutil

$(B)/regress/netblast: regress/bench/netblast.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(STD) $(WARN) $(OPT) $(CPPFLAGS) -o $@ $<

GUEST_TESTS += \
	regress/guest/acpi.sh \
	regress/guest/boot.sh \
	regress/guest/console.sh \
	regress/guest/emul.sh \
	regress/guest/net.sh \
	regress/guest/pause.sh \
	regress/guest/pci.sh \
	regress/guest/reset.sh \
	regress/guest/smp.sh \
	regress/guest/timer.sh \
	regress/guest/virtio.sh \
	regress/guest/vmmci.sh
