HOST_TESTS += \
	regress/daemon/audit.py \
	regress/daemon/badimage.py \
	regress/daemon/cdrom.py \
	regress/daemon/daemon.py \
	regress/daemon/devstats.py \
	regress/daemon/disk.py \
	regress/daemon/net.py \
	regress/daemon/notun.py \
	regress/daemon/noring.py \
	regress/daemon/user.py
