HOST_TESTS += regress/daemon/daemon.py
HOST_TESTS += regress/daemon/cdrom.py
