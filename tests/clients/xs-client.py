"""A client of Xen's own bindings for Python, xen.lowlevel.xs."""

import errno
import select

import commands
from xen.lowlevel import xs


def named(call, *arguments):
    """Carries out a call of the bindings, whose errors have numbers."""
    try:
        return call(*arguments)
    except xs.Error as error:
        raise commands.Refused(errno.errorcode[error.args[0]]) from error


def entry(permission):
    """A permission in the protocol's form."""
    letter = "nrwb"[bool(permission["read"]) + 2 * bool(permission["write"])]
    return f"{letter}{permission['dom']}"


def permission(text):
    """What the bindings make of that form."""
    return {"dom": int(text[1:]), "read": text[0] in "rb", "write": text[0] in "wb"}


class Client:
    """One connection."""

    def __init__(self):
        self.store = xs.xs()
        self.transaction = ""

    def read(self, path):
        value = named(self.store.read, self.transaction, path)
        if value is None:
            raise commands.Refused("ENOENT")
        return value.decode()

    def list(self, path):
        names = named(self.store.ls, self.transaction, path)
        if names is None:
            raise commands.Refused("ENOENT")
        return " ".join(names)

    def write(self, path, value):
        named(self.store.write, self.transaction, path, value)

    def mkdir(self, path):
        named(self.store.mkdir, self.transaction, path)

    def remove(self, path):
        named(self.store.rm, self.transaction, path)

    def permissions(self, path):
        return " ".join(map(entry, named(self.store.get_permissions, self.transaction, path)))

    def permit(self, path, *entries):
        named(self.store.set_permissions, self.transaction, path, [permission(text) for text in entries])

    def watch(self, path, token):
        named(self.store.watch, path, token)

    def unwatch(self, path, token):
        named(self.store.unwatch, path, token)

    def event(self, token):
        """The path of the next event, which must be this watch's."""
        if not select.select([self.store.fileno()], [], [], commands.PATIENCE)[0]:
            return "no event"
        path, seen = named(self.store.read_watch)
        return path if seen == token else f"{path} for {seen}"

    def begin(self):
        self.transaction = named(self.store.transaction_start)

    def commit(self):
        transaction, self.transaction = self.transaction, ""
        # The bindings tell of EAGAIN, which asks for another try, by False.
        if not named(self.store.transaction_end, transaction, 0):
            raise commands.Refused("EAGAIN")

    def abort(self):
        transaction, self.transaction = self.transaction, ""
        named(self.store.transaction_end, transaction, 1)

    def home(self, domid):
        return named(self.store.get_domain_path, int(domid))


commands.serve(Client())
