# Devices with a process of their own.
-include vmd/dev/scsi.mk
