"""Connections to PostgreSQL over TLS, begun all the time: python3 tls_storm.py ADDRESS… PORT

Some stop in the middle of the handshake, most log in and leave again. Ends with its standard
input, or after a minute.
"""

import socket
import ssl
import struct
import sys
import threading
import time

THREADS = 12
SSL_REQUEST = struct.pack("!ii", 8, 80877103)
PARAMETERS = b"user\0postgres\0database\0postgres\0\0"
STARTUP = struct.pack("!ii", 8 + len(PARAMETERS), 0x30000) + PARAMETERS

addresses, port = sys.argv[1:-1], int(sys.argv[-1])
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
end = time.monotonic() + 60
stopped = threading.Event()


def connect(address, number):
    with socket.create_connection((address, port), timeout=0.2) as plain:
        plain.settimeout(1)
        if number % 6 == 0:
            stopped.wait(0.05)
            return
        plain.sendall(SSL_REQUEST)
        if plain.recv(1) != b"S" or number % 6 == 1:
            return
        with context.wrap_socket(plain) as tls:
            tls.sendall(STARTUP)
            tls.recv(1)
            if number % 6 == 2:
                stopped.wait(0.2)


def storm(first):
    number = first
    while not stopped.is_set() and time.monotonic() < end:
        number += 1
        try:
            connect(addresses[number % len(addresses)], number)
        except OSError:
            # Dropped, reset, or ended: that is the story. ssl's errors are of this kind.
            pass


for first in range(THREADS):
    threading.Thread(target=storm, args=(first,), daemon=True).start()
print("up", flush=True)
sys.stdin.read()
stopped.set()
