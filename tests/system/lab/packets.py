"""Packets built by hand, for what no kernel would send by itself.

Raw sockets of type IPPROTO_RAW take whole IPv4 and IPv6 packets; routing and neighbours
are the kernel's business. Answers are read from a packet socket, before any firewall.
"""

import ipaddress
import socket
import struct
import time

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
DESTINATION_OPTIONS, FRAGMENT, TCP = 60, 44, 6


def checksum(data):
    """The internet checksum (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packed(address):
    return ipaddress.ip_address(address).packed


def tcp(src, dst, sport, dport, flags, seq=0, ack=0, payload=b""):
    """A TCP segment with its checksum, for either family."""
    source, target = packed(src), packed(dst)

    def header(check):
        return struct.pack(
            "!HHIIBBHHH", sport, dport, seq, ack, 5 << 4, flags, 65535, check, 0
        )

    segment = header(0) + payload
    length = "!HH" if len(source) == 4 else "!IHBB"
    parts = (TCP, len(segment)) if len(source) == 4 else (len(segment), 0, 0, TCP)
    pseudo = source + target + struct.pack(length, *parts)
    return header(checksum(pseudo + segment)) + payload


def ipv4(src, dst, payload, offset=0, more=False, ident=0):
    """An IPv4 packet, or one fragment of one; offset in bytes, a multiple of 8."""
    fragment = (0x2000 if more else 0) | offset // 8
    # The kernel fills in the length and the checksum (raw(7)).
    return (
        struct.pack("!BBHHHBBH", 0x45, 0, 0, ident, fragment, 64, TCP, 0)
        + packed(src)
        + packed(dst)
        + payload
    )


def ipv4_fragments(src, dst, payload, size, ident):
    """An IPv4 packet in fragments of this many bytes, a multiple of 8."""
    pieces = range(0, len(payload), size)
    return [
        ipv4(src, dst, payload[at : at + size], at, at + size < len(payload), ident)
        for at in pieces
    ]


def ipv6(src, dst, payload, following=TCP):
    """An IPv6 packet whose first next header is `following`."""
    head = struct.pack("!IHBB", 6 << 28, len(payload), following, 64)
    return head + packed(src) + packed(dst) + payload


def padding(following):
    """Eight bytes of destination options that say nothing."""
    return struct.pack("!BBBB4x", following, 0, 1, 4)


def ipv6_fragment(src, dst, following, piece, offset, more, ident):
    """One fragment; `following` is what the reassembled payload begins with."""
    head = struct.pack("!BBHI", following, 0, offset | int(more), ident)
    return ipv6(src, dst, head + piece, FRAGMENT)


def ipv6_hidden(src, dst, segment, ident):
    """Two fragments of which the first ends before its second extension header. Where
    the whole chain of headers is cut like this, Linux cannot tell that TCP is missing."""
    whole = padding(DESTINATION_OPTIONS) + padding(TCP) + segment
    return [
        ipv6_fragment(src, dst, DESTINATION_OPTIONS, whole[:8], 0, True, ident),
        ipv6_fragment(src, dst, DESTINATION_OPTIONS, whole[8:], 8, False, ident),
    ]


def send(packets):
    """Sends whole packets of either family."""
    for packet in packets:
        if packet[0] >> 4 == 4:
            target = socket.inet_ntop(socket.AF_INET, packet[16:20])
            family = socket.AF_INET
        else:
            target = socket.inet_ntop(socket.AF_INET6, packet[24:40])
            family = socket.AF_INET6
        with socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW) as sender:
            sender.sendto(packet, (target, 0))


class Answers:
    """What arrives on an interface; to be opened before the question is sent."""

    def __init__(self, interface="eth0"):
        everything = socket.htons(3)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, everything)
        self.socket.bind((interface, 3))

    def wait(self, sport, dport, limit=1.0):
        """The next unfragmented TCP segment between these ports, as a dictionary; None
        when there is none within `limit` seconds."""
        deadline = time.monotonic() + limit
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                packet, address = self.socket.recvfrom(65535)
            except TimeoutError:
                return None
            if address[2] == socket.PACKET_OUTGOING:
                continue
            found = segment_of(packet)
            if found and (found["sport"], found["dport"]) == (sport, dport):
                return found
        return None


def segment_of(packet):
    version = packet[0] >> 4
    if version == 4 and packet[9] == TCP:
        body = packet[(packet[0] & 15) * 4 :]
    elif version == 6 and packet[6] == TCP:
        body = packet[40:]
    else:
        return None
    sport, dport, seq, ack, offset, flags = struct.unpack("!HHIIBB", body[:14])
    payload = body[(offset >> 4) * 4 :]
    names = ("sport", "dport", "seq", "ack", "flags", "payload")
    return dict(zip(names, (sport, dport, seq, ack, flags, payload)))
