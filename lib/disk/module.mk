QCOW2_HDR_SRCS = lib/disk/qcow2_hdr.c

UNIT += qcow2_hdr_test
qcow2_hdr_test_SRCS = $(QCOW2_HDR_SRCS)

FUZZ += qcow2_hdr
qcow2_hdr_FUZZ_SRCS = $(QCOW2_HDR_SRCS)
