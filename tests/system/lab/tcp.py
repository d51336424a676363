"""Listeners that are not PostgreSQL.

    tcp.py silent ADDRESS PORT           accepts, and says nothing
    tcp.py unix PATH                     the same on a Unix socket
    tcp.py proxy ADDRESS PORT TO PORT    passes every connection on, as a pooler does
"""
import selectors
import socket
import sys

kind = sys.argv[1]
if kind == "unix":
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[2])
    listener.listen()
else:
    listener = socket.create_server((sys.argv[2], int(sys.argv[3])))
ready = selectors.DefaultSelector()
ready.register(listener, selectors.EVENT_READ)
print("up", flush=True)

peers = {}


def close(one):
    for end in (one, peers.pop(one, None)):
        if end is not None:
            peers.pop(end, None)
            if end in ready.get_map():
                ready.unregister(end)
            end.close()


while True:
    for key, _ in ready.select():
        end = key.fileobj
        if end is listener:
            client, _ = listener.accept()
            peers[client] = None
            if kind == "proxy":
                peers[client] = socket.create_connection((sys.argv[4], int(sys.argv[5])))
                peers[peers[client]] = client
                ready.register(peers[client], selectors.EVENT_READ)
            ready.register(client, selectors.EVENT_READ)
            continue
        if end not in peers:
            continue
        try:
            data = end.recv(65536)
            if data and peers[end] is not None:
                peers[end].sendall(data)
        except OSError:
            data = b""
        if not data:
            close(end)
