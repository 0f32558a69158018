"""For command lines that cannot say --http and --ws: uvicorn serves main:app."""

from tokenbind.servers import uvicorn


uvicorn.install()

from asgi_service import app  # noqa: E402, F401
