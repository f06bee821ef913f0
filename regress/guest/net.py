#!/usr/bin/env python3
"""The other side of the tap in regress/guest/net.sh: answers what the guest
asks for by UDP, counts what it sends by TCP without a connection, and sends
frames to be segmented.  Ends with its standard input."""

import select
import socket
import struct
import sys

PORT = 7777
BULK = 40000
MSS = 1448
PACKET_VNET_HDR = 15
SOL_PACKET = 263


def bulk_frame(tap, guest_mac, host, guest):
    """A vnet header and one TCP frame of BULK bytes."""
    data = bytes((i * 3 + (i >> 8)) & 0xFF for i in range(BULK))
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40 + BULK, 7, 0, 64, 6, 0,
                     host, guest)
    ip = ip[:10] + struct.pack("!H", csum(ip)) + ip[12:]
    pseudo = host + guest + struct.pack("!HH", 6, 20 + BULK)
    tcp = struct.pack("!HHIIBBHHH", 9, 1234, 0, 0, 0x50, 0x18, 1000,
                      ~csum(pseudo) & 0xFFFF, 0)
    mac = tap.getsockname()[4]
    vnet = struct.pack("<BBHHHH", 1, 1, 54, MSS, 34, 16)
    return vnet + guest_mac + mac + b"\x08\x00" + ip + tcp + data


def csum(b):
    s = sum(struct.unpack("!%dH" % (len(b) // 2), b))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return ~s & 0xFFFF


def main():
    name = sys.argv[1]
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("0.0.0.0", PORT))
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    tap.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    tap.bind((name, 3))
    seen = total = 0
    guest_mac = b""
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([tap, udp, sys.stdin], [], [])
        if tap in ready:
            frame, addr = tap.recvfrom(70000)
            frame = frame[10:]
            if addr[2] != socket.PACKET_OUTGOING and len(frame) > 54:
                guest_mac = frame[6:12]
                if frame[23] == 6 and frame[36:38] == b"\0\x09":
                    data = frame[54:]
                    seen += len(data)
                    total += sum(data)
            continue
        if sys.stdin in ready:
            return
        msg, addr = udp.recvfrom(70000)
        if msg[:1] == b"e":
            udp.sendto(msg, addr)
        elif msg[:1] == b"q":
            udp.sendto(struct.pack("!II", seen, total), addr)
            seen = total = 0
        elif msg[:1] == b"g":
            tap.send(bulk_frame(tap, guest_mac,
                                socket.inet_aton(sys.argv[2]),
                                socket.inet_aton(addr[0])))


main()
