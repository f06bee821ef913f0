HOST_TESTS += regress/daemon/audit.py regress/daemon/daemon.py
