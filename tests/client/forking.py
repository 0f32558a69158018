"""A program that forks between its calls, with a client of the given kind; run by test_every_client_forks.py.

While it forks, another thread holds the lock of the tokens, as one that is fetching may.
"""

from importlib import import_module
import os
import sys
import threading

from tokenbind.client import FileIdentity, IssuedToken, TokenCache


class Grant:
    """Its tokens were made by the parent."""

    def __init__(self, tokens):
        self.tokens = tokens

    def fetch(self, identity):
        return IssuedToken(self.tokens.pop(), 300.0, None)


def main(module, name, url, certificate, key, ca, *tokens):
    kinds = {kind.name: kind for kind in import_module(module).CALLERS}
    cache = TokenCache(Grant(list(tokens)))
    caller = kinds[name](FileIdentity(certificate, key), cache, origin=url, ca=ca)
    assert 200 == caller.call(f"{url}/first").status
    cache._held.clear()
    held, over = threading.Event(), threading.Event()

    def hold():
        with cache._lock:
            held.set()
            over.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(20)
    child = os.fork()
    if child == 0:
        os._exit(0 if [200] * 2 == [caller.call(f"{url}/child").status for _ in range(2)] else 1)
    over.set()
    holder.join()
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert 200 == caller.call(f"{url}/parent").status
    caller.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
