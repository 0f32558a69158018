#!/bin/sh
exec uwsgi uwsgi.ini
