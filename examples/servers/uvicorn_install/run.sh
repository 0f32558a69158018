#!/bin/sh
# Options given to this script go to uvicorn.
exec uvicorn main:app --host 127.0.0.1 --port 8443 \
    --ssl-keyfile server.key --ssl-certfile server.pem \
    --ssl-ca-certs ca.pem --ssl-cert-reqs 1 "$@"
