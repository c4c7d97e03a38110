"""Submits messages with Python's smtplib, as a legacy application would.

Reads {"jobs": [...], "together": N} as JSON from standard input, prints a list of outcomes as JSON. Each job has a connection of its own;
N of them run at a time, and the first N connect at the same moment.
"""

import json
import smtplib
import ssl
import sys
import threading
from concurrent.futures import ThreadPoolExecutor


def submit(job):
    options = {"timeout": 120, "local_hostname": "app.postern.test", "source_address": (job["source"], 0)}
    context = ssl.create_default_context(cafile=job["caFile"])
    try:
        if job["tls"] == "implicit":
            smtp = smtplib.SMTP_SSL("localhost", job["port"], context=context, **options)
        else:
            smtp = smtplib.SMTP("localhost", job["port"], **options)
        with smtp:
            smtp.ehlo()
            if job["tls"] == "starttls":
                smtp.starttls(context=context)
                smtp.ehlo()
            if job["login"] is not None:
                smtp.login(job["login"]["username"], job["login"]["password"])
            with open(job["file"], "rb") as content:
                octets = content.read()
            declared = ["body=8bitmime"] if job["isEightBit"] else []
            refused = smtp.sendmail(job["from"], job["to"], octets, mail_options=declared)
            return {"code": 250, "text": "", "refused": said(refused)}
    except smtplib.SMTPRecipientsRefused as error:
        first = next(iter(error.recipients.values()))
        return {"code": first[0], "text": first[1].decode("latin-1"), "refused": said(error.recipients)}
    except smtplib.SMTPResponseException as error:
        text = error.smtp_error
        return {"code": error.smtp_code, "text": text.decode("latin-1") if isinstance(text, bytes) else str(text), "refused": {}}
    except (OSError, smtplib.SMTPException) as error:
        return {"code": 0, "text": f"{type(error).__name__}: {error}", "refused": {}}


def said(refused):
    return {address: f"{code} {text.decode('latin-1')}" for address, (code, text) in refused.items()}


def main():
    order = json.load(sys.stdin)
    jobs, together = order["jobs"], order["together"]
    gate = threading.Barrier(min(together, len(jobs)))
    waiting = threading.Semaphore(gate.parties)

    def run(job):
        if waiting.acquire(blocking=False):
            gate.wait()
        return submit(job)

    with ThreadPoolExecutor(gate.parties) as pool:
        json.dump(list(pool.map(run, jobs)), sys.stdout)


main()
