#!/bin/sh
# Options given to this script go to gunicorn.
exec gunicorn "$@"
