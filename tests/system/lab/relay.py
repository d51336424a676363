"""One end of a slow and lossy link: a tun interface whose packets go to the other end over
UDP, each late by DELAY seconds, and LOSS of them never.

    relay.py OWN PEER BIND TO DELAY LOSS SEED

OWN and PEER are the link's addresses, BIND and TO the ends' hosts on the bridge.
"""

import fcntl
import heapq
import os
import random
import select
import socket
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x0001 | 0x1000
PORT = 7700

own, peer, bind, to, delay, loss, seed = sys.argv[1:]
delay, loss, dice = float(delay), float(loss), random.Random(int(seed))

tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"slow0", IFF_TUN_NO_PI))
for line in (f"address add {own} peer {peer} dev slow0", "link set slow0 mtu 1400 up"):
    subprocess.run(["ip", *line.split()], check=True)
wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
wire.bind((bind, PORT))
print("ready", flush=True)

late = []
while True:
    wait = max(0.0, late[0][0] - time.monotonic()) if late else None
    readable, _, _ = select.select([tun, wire], [], [], wait)
    now = time.monotonic()
    if tun in readable:
        packet = os.read(tun, 2048)
        if dice.random() >= loss:
            heapq.heappush(late, (now + delay, len(late), packet))
    if wire in readable:
        os.write(tun, wire.recv(2048))
    while late and late[0][0] <= now:
        wire.sendto(heapq.heappop(late)[2], (to, PORT))
