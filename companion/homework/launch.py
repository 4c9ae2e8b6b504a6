"""Starts the child process of the grader, on Linux without network and without the answers.

A script of the standard library alone: ``launch.py BOX HIDDEN COMMAND...``. In namespaces of its
own there is no network, and the folder HIDDEN is empty. The command is started as an ordinary user
of the namespace, so it cannot undo this. What was possible is written to ``BOX/isolation``.
"""

import ctypes
import os
import sys

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
USER = 1000  # inside the namespace; not 0, whose rights would survive the start of a program


def isolate(hidden: str) -> str:
    """Leave the network and hide a folder; what came of it, in words."""
    if not sys.platform.startswith("linux"):
        return "refusals only: this system has no namespaces"
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET):
        return f"refusals only: no namespace ({os.strerror(ctypes.get_errno())})"
    try:
        for file, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{USER} {user} 1"),
            ("gid_map", f"{USER} {group} 1"),
        ):
            with open(f"/proc/self/{file}", "w") as out:
                out.write(text)
    except OSError as error:
        return f"no network; files by refusals only ({error.strerror})"
    libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    if libc.mount(b"none", hidden.encode(), b"tmpfs", 0, b"size=4k,mode=0555"):
        return f"no network; files by refusals only ({os.strerror(ctypes.get_errno())})"
    return "no network, and the answers are not there"


if __name__ == "__main__":
    box, hidden, *command = sys.argv[1:]
    said = isolate(hidden)
    with open(os.path.join(box, "isolation"), "w", encoding="utf-8") as file:
        file.write(said)
    os.execv(command[0], command)
