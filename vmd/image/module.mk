# image: what a disk image is, found out by a process that can do nothing.
IMAGEROLE_SRCS = \
	vmd/image/image.c \
	$(QCOW2_HDR_SRCS)
