#!/bin/sh
# Options given to this script go to uvicorn.
exec uvicorn asgi_service:app --host 127.0.0.1 --port 8443 \
    --http tokenbind.servers.uvicorn:HTTP --ws tokenbind.servers.uvicorn:WebSocket \
    --ssl-keyfile server.key --ssl-certfile server.pem \
    --ssl-ca-certs ca.pem --ssl-cert-reqs 1 "$@"
