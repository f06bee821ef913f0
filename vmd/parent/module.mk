# The parent, and the opener, which opens files for it.
PARENT_SRCS = \
	vmd/parent/audit.c \
	vmd/parent/children.c \
	vmd/parent/confine.c \
	vmd/parent/console.c \
	vmd/parent/cred.c \
	vmd/parent/ctl.c \
	vmd/parent/devstats.c \
	vmd/parent/disks.c \
	vmd/parent/files.c \
	vmd/parent/fuse.c \
	vmd/parent/helper.c \
	vmd/parent/hold.c \
	vmd/parent/hosts.c \
	vmd/parent/ids.c \
	vmd/parent/image.c \
	vmd/parent/info.c \
	vmd/parent/limit.c \
	vmd/parent/lock.c \
	vmd/parent/macs.c \
	vmd/parent/net.c \
	vmd/parent/netd.c \
	vmd/parent/netorder.c \
	vmd/parent/netpending.c \
	vmd/parent/netport.c \
	vmd/parent/netspec.c \
	vmd/parent/netswitch.c \
	vmd/parent/open.c \
	vmd/parent/open_msg.c \
	vmd/parent/opener.c \
	vmd/parent/parent.c \
	vmd/parent/passt.c \
	vmd/parent/passt_args.c \
	vmd/parent/pause.c \
	vmd/parent/perm.c \
	vmd/parent/pty.c \
	vmd/parent/raws.c \
	vmd/parent/reload.c \
	vmd/parent/request.c \
	vmd/parent/request_start.c \
	vmd/parent/resolv.c \
	vmd/parent/restart.c \
	vmd/parent/rootsafe.c \
	vmd/parent/shutdown.c \
	vmd/parent/socket.c \
	vmd/parent/stagger.c \
	vmd/parent/start.c \
	vmd/parent/state.c \
	vmd/parent/statedir.c \
	vmd/parent/statefile.c \
	vmd/parent/stop.c \
	vmd/parent/vms.c \
	lib/disk/imglock.c \
	lib/net/addr.c \
	$(NET_MAC_SRCS)

OPENMSG_SRCS = vmd/parent/cred.c vmd/parent/open_msg.c $(PROTO_TEST_SRCS)
UNIT += open_msg_test
open_msg_test_SRCS = $(OPENMSG_SRCS)

FUZZ += openmsg
openmsg_FUZZ_SRCS = $(OPENMSG_SRCS)

UNIT += opener_test
opener_test_SRCS = \
	vmd/parent/fuse.c vmd/parent/rootsafe.c lib/util/fdlist.c

UNIT += opener_proc_test
opener_proc_test_SRCS = \
	lib/sandbox/lock.c \
	vmd/parent/cred.c \
	vmd/parent/fuse.c \
	vmd/parent/helper.c \
	vmd/parent/open.c \
	vmd/parent/open_msg.c \
	vmd/parent/opener.c \
	vmd/parent/perm.c \
	vmd/parent/rootsafe.c \
	$(PROTO_SRCS) $(IMSG_SRCS) $(UTIL_SRCS) \
	proc/peer.c proc/proc.c proc/spawn.c
opener_proc_test_LIBS = -lbsd -levent_core

# With opener and image as processes.
DISKS_TEST_SRCS = \
	regress/unit/disks_fake.c \
	lib/disk/imglock.c \
	vmd/parent/cred.c \
	vmd/parent/disks.c \
	vmd/parent/files.c \
	vmd/parent/fuse.c \
	vmd/parent/helper.c \
	vmd/parent/image.c \
	vmd/parent/lock.c \
	vmd/parent/open.c \
	vmd/parent/open_msg.c \
	vmd/parent/opener.c \
	vmd/parent/perm.c \
	vmd/parent/raws.c \
	vmd/parent/rootsafe.c \
	vmd/parent/statefile.c \
	$(IMAGEROLE_SRCS) $(PROTO_SRCS) $(IMSG_SRCS) $(UTIL_SRCS) \
	$(SANDBOX_SRCS) $(PROC_SRCS)
UNIT += disks_test disks_chain_test
disks_test_SRCS = $(DISKS_TEST_SRCS)
disks_test_LIBS = -lbsd -levent_core
disks_chain_test_SRCS = $(DISKS_TEST_SRCS)
disks_chain_test_LIBS = -lbsd -levent_core

UNIT += opener_fuse_test
opener_fuse_test_SRCS = $(opener_proc_test_SRCS) $(SANDBOX_SRCS)
opener_fuse_test_LIBS = -lbsd -levent_core

UNIT += passt_real_test passt_test
passt_test_SRCS = \
	lib/sandbox/ids.c \
	lib/sandbox/lock.c \
	proc/spawn.c \
	vmd/parent/passt.c \
	vmd/parent/passt_args.c \
	$(UTIL_SRCS)
passt_test_LIBS = -lbsd -levent_core
passt_real_test_SRCS = $(passt_test_SRCS)
passt_real_test_LIBS = -lbsd -levent_core

UNIT += perm_test
perm_test_SRCS = vmd/parent/perm.c vmd/parent/cred.c

UNIT += raws_test
raws_test_SRCS = \
	vmd/parent/raws.c vmd/parent/statefile.c lib/util/log.c
raws_test_LIBS = -lbsd

UNIT += restart_test
restart_test_SRCS = vmd/parent/restart.c

UNIT += state_test
state_test_SRCS = vmd/parent/state.c $(PROTO_SRCS) $(IMSG_SRCS) $(UTIL_SRCS)
state_test_LIBS = -lbsd -levent_core

UNIT += state_ids_test
state_ids_test_SRCS = \
	vmd/parent/ids.c vmd/parent/statefile.c \
	$(PROTO_SRCS) $(IMSG_SRCS) $(UTIL_SRCS)
state_ids_test_LIBS = -lbsd -levent_core

# The real parent with children that the test plays.
PARENT_TEST_SRCS = \
	regress/unit/parent_fake.c \
	$(filter-out vmd/parent/opener.c,$(PARENT_SRCS)) \
	$(PROTO_SRCS) $(IMSG_SRCS) $(UTIL_SRCS) proc/peer.c

$(call units,parent_badpeer_test parent_devstats_test parent_disks_test \
	parent_net_test parent_netd_test parent_requests_test \
	parent_vms_test,PARENT_TEST_SRCS,-lbsd -levent_core $$(NET_MAC_LIBS))

UNIT += limit_test
limit_test_SRCS = vmd/parent/limit.c vmd/parent/perm.c lib/util/scaled.c
limit_test_LIBS = -lbsd
