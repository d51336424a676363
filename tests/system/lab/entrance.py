"""Speaks with PostgreSQL in packets of a given shape and prints how far it comes:
nothing, rst, syn-ack, or data.

usage: entrance.py whole|hidden|tiny|overlapping SOURCE TARGET PORT

After the handshake an SSLRequest is sent, which PostgreSQL answers with one byte.

hidden is IPv6 with a first fragment that holds no TCP header, tiny is IPv4 in fragments
of 8 bytes. overlapping is IPv4 in fragments of which one lies within another; Linux takes
such a packet only if the smaller one comes later, and ignores that one.
The own kernel knows nothing of the connection: the caller must drop its resets.
"""

import random
import struct
import sys

from packets import ACK, PSH, RST, SYN, Answers, ipv4, ipv4_fragments, ipv6, ipv6_hidden
from packets import send, tcp

SSL_REQUEST = struct.pack("!II", 8, 80877103)


def ipv4_overlapping(source, target, segment, ident):
    """The end of the packet first, then false bytes within it, then its beginning."""
    false = bytes(8)
    return [
        ipv4(source, target, segment[8:], 8, False, ident),
        ipv4(source, target, false, 8, True, ident),
        ipv4(source, target, segment[:8], 0, True, ident),
    ]


def shaped(shape, source, target, segment):
    ident = random.randrange(1, 65536)
    if shape == "hidden":
        return ipv6_hidden(source, target, segment, ident)
    if shape == "tiny":
        return ipv4_fragments(source, target, segment, 8, ident)
    if shape == "overlapping":
        return ipv4_overlapping(source, target, segment, ident)
    return [(ipv6 if ":" in source else ipv4)(source, target, segment)]


def main():
    shape, source, target, port = sys.argv[1:]
    port, own_port = int(port), random.randrange(40000, 60000)
    answers = Answers()

    def say(flags, seq, ack=0, payload=b""):
        segment = tcp(source, target, own_port, port, flags, seq, ack, payload)
        send(shaped(shape, source, target, segment))

    seq = random.randrange(2**31)
    say(SYN, seq)
    answer = answers.wait(port, own_port, 0.5)
    if answer is None:
        return "nothing"
    if answer["flags"] & RST:
        return "rst"
    if answer["flags"] & (SYN | ACK) != SYN | ACK:
        return "something else"
    say(ACK, seq + 1, answer["seq"] + 1)
    say(ACK | PSH, seq + 1, answer["seq"] + 1, SSL_REQUEST)
    while answer := answers.wait(port, own_port, 2.0):
        if answer["payload"]:
            say(RST | ACK, seq + 9, answer["seq"] + 2)
            return "data"
    return "syn-ack"


print(main())
