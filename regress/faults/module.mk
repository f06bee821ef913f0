HOST_TESTS += regress/faults/faults.py
HOST_TESTS += regress/faults/disk.py
HOST_TESTS += regress/faults/net.py
