"""Talks to the store by pyxs. In dom0 of a host with this store: Client(xen_bus_path="/dev/xen/xenbus")."""

import errno
import os

from pyxs import Client, PyXSError


def add_one(store, path):
    """Adds one to the number of a node. If another client writes it meanwhile, the whole is done anew."""
    while True:
        store.transaction()
        number = int(store.read(path, b"0")) + 1
        store.write(path, str(number).encode())
        if store.commit():
            return number


with Client(unix_socket_path=os.environ["XENSTORED_PATH"]) as store:
    store.write(b"/talk/greeting", b"hello")
    print("read:", store.read(b"/talk/greeting").decode())
    print("number:", add_one(store, b"/talk/number"))
    for name in store.list(b"/talk"):
        print("child:", name.decode())

    with store.monitor() as watches:
        watches.watch(b"/talk/greeting", b"token")
        events = watches.wait()
        next(events)  # says that the watch is set
        store.write(b"/talk/greeting", b"goodbye")
        print("changed:", next(events)[0].decode())

    store.delete(b"/talk")
    try:
        store.read(b"/talk/greeting")
    except PyXSError as error:
        if error.args[0] == errno.ENOENT:
            print("gone")
