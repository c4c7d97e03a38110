"""Reads a mailbox with Python's own imaplib or poplib, or waits for new mail with IDLE.

mail_reader.py imap|pop3|idle HOST PORT off|starttls|implicit CAFILE USER FOLDER; the password comes on standard input.

Each message becomes FOLDER/N.eml, octet for octet. `idle` prints IDLING, then the first line that the server sends by itself.
"""

import imaplib
import pathlib
import poplib
import ssl
import sys

what, host, port, tls, ca_file, user, folder = sys.argv[1:]
password = sys.stdin.readline().rstrip("\n")
context = ssl.create_default_context(cafile=ca_file)
# poplib gives up at lines of 2,048 octets, which RFC 1939 does not ask for.
poplib._MAXLINE = 1_000_000


def open_imap():
    if tls == "implicit":
        client = imaplib.IMAP4_SSL(host, int(port), ssl_context=context)
    else:
        client = imaplib.IMAP4(host, int(port))
        if tls == "starttls":
            client.starttls(context)
    client.login(user, password)
    client.select("INBOX", readonly=True)
    return client


def save(number, octets):
    (pathlib.Path(folder) / f"{number}.eml").write_bytes(octets)


if what == "imap":
    client = open_imap()
    for number in client.search(None, "ALL")[1][0].split():
        save(int(number), client.fetch(number, "(BODY.PEEK[])")[1][0][1])
    client.logout()
elif what == "idle":
    client = open_imap()
    client.send(b"i1 IDLE\r\n")
    assert client.readline().startswith(b"+")
    print("IDLING", flush=True)
    print(client.readline().decode("ascii").strip(), flush=True)
    client.send(b"DONE\r\n")
    while not client.readline().startswith(b"i1 OK"):
        pass
    client.logout()
else:
    if tls == "implicit":
        client = poplib.POP3_SSL(host, int(port), context=context)
    else:
        client = poplib.POP3(host, int(port))
        if tls == "starttls":
            client.stls(context)
    client.user(user)
    client.pass_(password)
    for number in range(1, client.stat()[0] + 1):
        save(number, b"".join(line + b"\r\n" for line in client.retr(number)[1]))
    client.quit()
