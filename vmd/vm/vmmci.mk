# vmmci, and what its tests link.
VMMCI_TEST_SRCS = vmd/vm/bus.c vmd/vm/pci.c vmd/vm/timer.c vmd/vm/vmmci.c \
	lib/util/log.c

UNIT += vmmci_test
vmmci_test_SRCS = $(VMMCI_TEST_SRCS)
vmmci_test_LIBS = -Wl,--wrap=clock_gettime -Wl,--wrap=timerfd_settime \
	-levent_core -lbsd

FUZZ += vmmci
vmmci_FUZZ_SRCS = $(VMMCI_TEST_SRCS)
vmmci_FUZZ_LIBS = -levent_core -lbsd
