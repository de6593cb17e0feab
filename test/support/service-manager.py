"""Plays systemd for one program: the notification socket and the descriptor store of sd_notify(3), which Node.js has no way to.

Usage: service-manager.py SOCKET [NAME=VALUE ...] -- PROGRAM [ARGUMENT ...]

CONTROL=PATH among the variables is not for the program: a socket there is listened on for it, as by a socket unit.

Starts the program. Lines on stdin: `start` starts it again, `kill NAME` sends it a signal, `store NAME` puts a descriptor of
/dev/null into the store. Lines on stdout, JSON: {"started": pid}, {"exited": status}, {"notify": {...}, "from": pid},
{"stored": [name, ...]} whenever the store has changed. What the program says goes to stderr.
"""

import array
import ctypes
import fcntl
import json
import os
import select
import signal
import socket
import sys

FIRST_DESCRIPTOR = 3
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)

split = sys.argv.index("--")
address, variables = sys.argv[1], sys.argv[2:split]
command = sys.argv[split + 1 :]

listeners = []  # (name, descriptor), kept open all the time
for word in [word for word in variables if word.startswith("CONTROL=")]:
    variables.remove(word)
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    control.bind(word.partition("=")[2])
    control.listen()
    listeners.append(("control", control.detach()))

manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
manager.bind("\0" + address[1:] if address.startswith("@") else address)
store = []  # (name, descriptor), oldest first
child = 0


def say(**what):
    print(json.dumps(what), flush=True)


def start():
    global child
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        # First out of the way of one another, then to where they belong.
        passed = listeners + store
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 200) for _, fd in passed]
        for n, fd in enumerate(high):
            os.dup2(fd, FIRST_DESCRIPTOR + n, inheritable=True)
        os.closerange(FIRST_DESCRIPTOR + len(passed), 1024)
        os.dup2(2, 1)
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        env = {**os.environ, "NOTIFY_SOCKET": address, **dict(word.split("=", 1) for word in variables)}
        if passed:
            env["LISTEN_PID"] = str(os.getpid())
            env["LISTEN_FDS"] = str(len(passed))
            env["LISTEN_FDNAMES"] = ":".join(name for name, _ in passed)
        try:
            os.execvpe(command[0], command, env)
        finally:
            os._exit(127)
    say(started=child)


def drop(fits):
    gone = [entry for entry in store if fits(entry)]
    for entry in gone:
        store.remove(entry)
        os.close(entry[1])
    if gone:
        say(stored=[name for name, _ in store])


def take_notification():
    space = socket.CMSG_SPACE(12) + socket.CMSG_SPACE(4 * 16)
    data, ancillary, _, _ = manager.recvmsg(4096, space)
    pid, descriptors = 0, array.array("i")
    for level, kind, content in ancillary:
        if kind == socket.SCM_RIGHTS:
            descriptors.frombytes(content[: len(content) - len(content) % 4])
        elif kind == socket.SCM_CREDENTIALS:
            pid = int.from_bytes(content[:4], sys.byteorder)
    said = dict(line.split("=", 1) for line in data.decode().split("\n") if line)
    say(notify=said, **{"from": pid})
    if said.get("FDSTOREREMOVE") == "1":
        drop(lambda entry: entry[0] == said["FDNAME"])
    elif said.get("FDSTORE") == "1":
        store.extend((said.get("FDNAME", "stored"), fd) for fd in descriptors)
        say(stored=[name for name, _ in store])
    else:
        for fd in descriptors:
            os.close(fd)


def take_line(line):
    verb, *words = line.split()
    if verb == "start":
        start()
    elif verb == "kill":
        os.kill(child, getattr(signal, words[0]))
    elif verb == "store":
        store.append((words[0], os.open("/dev/null", os.O_RDONLY)))
        say(stored=[name for name, _ in store])


def reap(*_):
    global child
    while child:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid == 0:
            break
        child = 0
        say(exited=os.waitstatus_to_exitcode(status))


def end(*_):
    if child:
        os.kill(child, signal.SIGTERM)
        try:
            status = os.waitpid(child, 0)[1]
            say(exited=os.waitstatus_to_exitcode(status))
        except ChildProcessError:
            pass
    sys.exit(0)


signal.signal(signal.SIGTERM, end)
start()
buffer = b""
while True:
    poller = select.poll()
    poller.register(0, select.POLLIN)
    poller.register(manager, select.POLLIN)
    for _, fd in store:
        poller.register(fd, 0)  # POLLHUP and POLLERR: as systemd does with what nobody needs any more
    ready = dict(poller.poll(20))
    if manager.fileno() in ready:
        take_notification()
    else:
        reap()
    drop(lambda entry: ready.get(entry[1], 0) & (select.POLLHUP | select.POLLERR))
    if 0 in ready:
        got = os.read(0, 4096)
        if not got:
            end()
        *lines, buffer = (buffer + got).split(b"\n")
        for line in lines:
            take_line(line.decode())
