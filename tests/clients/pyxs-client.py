"""A client of pyxs, which speaks the protocol itself, on the kernel's device. There it refuses to watch."""

import errno

import commands
from pyxs import Client as Connection
from pyxs import PyXSError


def named(call, *arguments):
    """Carries out a call of the library, whose errors have numbers."""
    try:
        return call(*arguments)
    except PyXSError as error:
        raise commands.Refused(errno.errorcode[error.args[0]]) from error


class Client:
    """One connection."""

    def __init__(self):
        self.store = Connection(xen_bus_path="/dev/xen/xenbus")
        self.store.connect()

    def read(self, path):
        return named(self.store.read, path.encode()).decode()

    def list(self, path):
        return b" ".join(named(self.store.list, path.encode())).decode()

    def write(self, path, value):
        named(self.store.write, path.encode(), value.encode())

    def mkdir(self, path):
        named(self.store.mkdir, path.encode())

    def remove(self, path):
        named(self.store.delete, path.encode())

    def permissions(self, path):
        return b" ".join(named(self.store.get_perms, path.encode())).decode()

    def permit(self, path, *entries):
        named(self.store.set_perms, path.encode(), [entry.encode() for entry in entries])

    def begin(self):
        named(self.store.transaction)

    def commit(self):
        # The library tells of EAGAIN, which asks for another try, by False.
        if not named(self.store.commit):
            raise commands.Refused("EAGAIN")

    def abort(self):
        named(self.store.rollback)

    def home(self, domid):
        return named(self.store.get_domain_path, int(domid)).decode()


commands.serve(Client())
