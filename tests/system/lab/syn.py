"""Sends one SYN in a given shape and prints the answer: syn-ack, rst or nothing.

usage: syn.py whole|tiny|hidden SOURCE TARGET PORT

whole is an ordinary packet of either family, tiny is IPv4 in fragments of 8 bytes, and
hidden is IPv6 with a first fragment that holds no TCP header.
"""

import random
import sys

from packets import ACK, RST, SYN, Answers, ipv4, ipv4_fragments, ipv6, ipv6_hidden
from packets import send, tcp


def main():
    shape, source, target, port = sys.argv[1:]
    own_port, ident = random.randrange(40000, 60000), random.randrange(1, 65536)
    segment = tcp(source, target, own_port, int(port), SYN, seq=random.randrange(2**32))
    if shape == "tiny":
        packets = ipv4_fragments(source, target, segment, 8, ident)
    elif shape == "hidden":
        packets = ipv6_hidden(source, target, segment, ident)
    else:
        packets = [(ipv6 if ":" in source else ipv4)(source, target, segment)]
    answers = Answers()
    send(packets)
    answer = answers.wait(int(port), own_port)
    if answer is None:
        print("nothing")
    elif answer["flags"] & RST:
        print("rst")
    elif answer["flags"] & (SYN | ACK) == SYN | ACK:
        print("syn-ack")


main()
