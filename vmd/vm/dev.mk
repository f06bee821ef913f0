# Devices inside the vm process.
VMVIRTIO_SRCS = \
	vmd/vm/virtio.c \
	vmd/vm/virtio_irq.c \
	vmd/vm/virtio_pci.c \
	vmd/vm/virtio_regs.c

VMDEV_SRCS = \
	vmd/vm/acpi_pm.c \
	vmd/vm/bus.c \
	vmd/vm/legacy.c \
	vmd/vm/mmio.c \
	vmd/vm/pci.c \
	vmd/vm/rtc.c \
	vmd/vm/rtc_time.c \
	vmd/vm/timer.c \
	vmd/vm/uart.c \
	vmd/vm/vmmci.c \
	$(VMVIRTIO_SRCS)

UNIT += acpi_pm_test bus_test legacy_test pci_test rtc_test uart_test \
	vmmci_test
acpi_pm_test_SRCS = vmd/vm/acpi_pm.c vmd/vm/bus.c vmd/vm/timer.c
acpi_pm_test_LIBS = -Wl,--wrap=clock_gettime -levent_core
bus_test_SRCS = vmd/vm/bus.c
legacy_test_SRCS = vmd/vm/bus.c vmd/vm/legacy.c
pci_test_SRCS = vmd/vm/bus.c vmd/vm/pci.c
rtc_test_SRCS = vmd/vm/bus.c vmd/vm/rtc.c vmd/vm/rtc_time.c vmd/vm/timer.c
rtc_test_LIBS = -Wl,--wrap=clock_gettime -Wl,--wrap=timerfd_settime -levent_core
uart_test_SRCS = vmd/vm/bus.c vmd/vm/timer.c vmd/vm/uart.c
uart_test_LIBS = -Wl,--wrap=timerfd_settime -levent_core
vmmci_test_SRCS = vmd/vm/bus.c vmd/vm/pci.c vmd/vm/timer.c vmd/vm/vmmci.c \
	lib/util/log.c
vmmci_test_LIBS = -Wl,--wrap=clock_gettime -Wl,--wrap=timerfd_settime \
	-levent_core -lbsd

VIRTIO_TEST_SRCS = $(VMVIRTIO_SRCS) vmd/vm/bus.c vmd/vm/mmio.c vmd/vm/pci.c \
	$(VIRTIO_SRCS) lib/util/fdlist.c $(GMEM_SRCS) lib/util/log.c
UNIT += mmio_test viornd_test virtio_enum_test virtio_test
mmio_test_SRCS = vmd/vm/bus.c vmd/vm/mmio.c
viornd_test_SRCS = $(VIRTIO_TEST_SRCS) vmd/vm/timer.c vmd/vm/viornd.c
viornd_test_LIBS = -Wl,--wrap=clock_gettime -Wl,--wrap=timerfd_settime \
	-levent_core -lbsd
virtio_enum_test_SRCS = $(VIRTIO_TEST_SRCS)
virtio_enum_test_LIBS = -levent_core -lbsd
virtio_test_SRCS = $(VIRTIO_TEST_SRCS)
virtio_test_LIBS = -levent_core -lbsd

FUZZ += ports uart viornd virtio_pci vmmci
ports_FUZZ_SRCS = $(filter-out $(VMVIRTIO_SRCS) vmd/vm/mmio.c \
	vmd/vm/vmmci.c,$(VMDEV_SRCS))
ports_FUZZ_LIBS = -levent_core
uart_FUZZ_SRCS = vmd/vm/bus.c vmd/vm/timer.c vmd/vm/uart.c
uart_FUZZ_LIBS = -levent_core
viornd_FUZZ_SRCS = $(viornd_test_SRCS)
viornd_FUZZ_LIBS = -Wl,--wrap=getrandom $(viornd_test_LIBS)
virtio_pci_FUZZ_SRCS = $(VIRTIO_TEST_SRCS)
virtio_pci_FUZZ_LIBS = -levent_core -lbsd
vmmci_FUZZ_SRCS = vmd/vm/bus.c vmd/vm/pci.c vmd/vm/timer.c vmd/vm/vmmci.c \
	lib/util/log.c
vmmci_FUZZ_LIBS = -levent_core -lbsd
