"""What the clients in Python have in common: they carry out the commands that come on the input, one a line, and
answer each with one line."""

import sys

# How long an event may take, in seconds: the machine may be an emulated one.
PATIENCE = 60


class Refused(Exception):
    """The store answered with an error; its text is the error's name."""


def serve(client):
    """Reads commands to the end of the input; a command's name is the client's method."""
    for line in sys.stdin:
        command, *words = line.split()
        try:
            answer = getattr(client, command)(*words)
        except Refused as refused:
            answer = f"error {refused}"
        print("ok" if answer is None else answer, flush=True)
