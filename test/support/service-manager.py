"""A service manager that listens as systemd does: prints each datagram that comes to the socket named by its argument, one line each."""
import socket
import sys

listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(sys.argv[1])
print("listening", flush=True)
while True:
    # Without room for the descriptor that a barrier brings along, the kernel closes it: that is the answer a barrier waits for.
    print(" ".join(listener.recv(4096).decode().split("\n")), flush=True)
