"""Sends SYNs, 2,000 a second, each from another port, and counts which are answered.

usage: flood.py SOURCE TARGET PORT SECONDS

Prints one JSON object: sent, answered (by SYN and ACK).
"""

import json
import random
import socket
import sys
import time

from packets import ACK, SYN, Answers, ipv4, segment_of, tcp

RATE = 2000


def main():
    source, target, port, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    answers = Answers().socket
    answers.setblocking(False)
    answers.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    sent, answered = 0, set()
    began = time.monotonic()
    # The answers to the last ones take a moment.
    while (now := time.monotonic() - began) < seconds + 0.5:
        while now < seconds and sent < now * RATE:
            own = 20000 + sent % 40000
            segment = tcp(source, target, own, port, SYN, seq=random.randrange(2**32))
            sender.sendto(ipv4(source, target, segment), (target, 0))
            sent += 1
        answered |= set(answered_ports(answers, port))
        time.sleep(0.001)
    print(json.dumps({"sent": sent, "answered": len(answered)}))


def answered_ports(answers, port):
    while True:
        try:
            packet, address = answers.recvfrom(65535)
        except BlockingIOError:
            return
        found = segment_of(packet) if address[2] != socket.PACKET_OUTGOING else None
        if found and found["sport"] == port and found["flags"] & (SYN | ACK) == SYN | ACK:
            yield found["dport"]


main()
