#!/bin/sh
# Runs Apache with the files here alone, without Debian's own configuration.
export SERVICE="$PWD"
exec apache2 -f "$SERVICE/apache2.conf" -DFOREGROUND "$@"
