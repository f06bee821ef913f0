# Boot loaders and ACPI tables.  Programs that link these need -lz.
VMBOOT_SRCS = \
	vmd/vm/acpi.c \
	vmd/vm/aml.c \
	vmd/vm/boot.c \
	vmd/vm/boot_elf.c \
	vmd/vm/boot_image.c \
	vmd/vm/boot_linux.c \
	vmd/vm/boot_mem.c \
	vmd/vm/boot_openbsd.c \
	vmd/vm/boot_pvh.c
VMBOOT_LIBS = -lz

UNIT += acpi_test boot_linux_test boot_openbsd_test boot_pvh_test
acpi_test_SRCS = vmd/vm/acpi.c vmd/vm/aml.c $(GMEM_SRCS)
boot_linux_test_SRCS = $(VMBOOT_SRCS) $(GMEM_SRCS)
boot_linux_test_LIBS = $(VMBOOT_LIBS)
boot_openbsd_test_SRCS = $(VMBOOT_SRCS) $(GMEM_SRCS)
boot_openbsd_test_LIBS = $(VMBOOT_LIBS)
boot_pvh_test_SRCS = $(VMBOOT_SRCS) $(GMEM_SRCS)
boot_pvh_test_LIBS = $(VMBOOT_LIBS)

FUZZ += boot bzimage elf
boot_FUZZ_SRCS = $(VMBOOT_SRCS) $(GMEM_SRCS)
boot_FUZZ_LIBS = $(VMBOOT_LIBS)
bzimage_FUZZ_SRCS = $(VMBOOT_SRCS) $(GMEM_SRCS)
bzimage_FUZZ_LIBS = $(VMBOOT_LIBS)
elf_FUZZ_SRCS = $(VMBOOT_SRCS) $(GMEM_SRCS)
elf_FUZZ_LIBS = $(VMBOOT_LIBS)
