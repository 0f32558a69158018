"""hypercorn serves main:app, and each of its workers loads this file."""

from tokenbind.servers import hypercorn


hypercorn.install()

from asgi_service import app  # noqa: E402, F401
