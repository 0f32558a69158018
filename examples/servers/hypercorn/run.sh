#!/bin/sh
# Options given to this script go to hypercorn.
exec hypercorn main:app --bind 127.0.0.1:8443 \
    --keyfile server.key --certfile server.pem \
    --ca-certs ca.pem --verify-mode CERT_OPTIONAL "$@"
