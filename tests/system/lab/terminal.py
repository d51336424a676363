"""A person at a terminal: runs a program on a terminal of its own, types and reads.

The arguments are a JSON list of steps and the program's words. Each step is a pair:
  type TEXT     type it
  read TEXT     wait until it has appeared, behind what was read before
  until SHELL   wait until this shell command, run elsewhere on the host, exits with 0
  hang up       close the terminal
Prints all that appeared, and exits with 1 where a step did not come true in time.
"""

import json
import os
import pty
import select
import subprocess
import sys
import time

LIMIT_S = 30

steps = json.loads(sys.argv[1])
pid, terminal = pty.fork()
if pid == 0:
    os.environ.update(TERM="xterm", PS1="ready> ", HISTFILE="")
    os.execvp(sys.argv[2], sys.argv[2:])

seen = ""
read_up_to = 0


def look(patience_s):
    """Takes what has appeared. False when nothing more can."""
    global seen
    if terminal is None:
        time.sleep(patience_s)
        return True
    if not select.select([terminal], [], [], patience_s)[0]:
        return True
    try:
        page = os.read(terminal, 65536)
    except OSError:
        return False
    seen += page.decode(errors="replace")
    return bool(page)


def give_up(what):
    print(seen)
    print(f"\nnot within {LIMIT_S} s: {what}", file=sys.stderr)
    sys.exit(1)


for kind, text in steps:
    deadline = time.monotonic() + LIMIT_S
    if kind == "type":
        os.write(terminal, text.encode())
    elif kind == "read":
        while (at := seen.find(text, read_up_to)) < 0:
            if time.monotonic() > deadline or not look(0.2):
                give_up(f"read {text!r}")
        read_up_to = at + len(text)
    elif kind == "until":
        while subprocess.run(["bash", "-c", text], capture_output=True).returncode:
            if time.monotonic() > deadline:
                give_up(f"until {text!r}")
            look(0.05)
    elif kind == "hang up":
        os.close(terminal)
        terminal = None
    else:
        give_up(f"an unknown step: {kind}")
print(seen)
