#!/bin/sh
# Options given to this script go to gunicorn.
exec gunicorn main:app --bind 127.0.0.1:8443 --worker-class gthread --threads 8 \
    --keyfile server.key --certfile server.pem --ca-certs ca.pem --cert-reqs 1 "$@"
