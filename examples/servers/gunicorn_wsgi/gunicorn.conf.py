"""gunicorn finds this file by its name."""

wsgi_app = "wsgi_service:app"
bind = "127.0.0.1:8443"
worker_class = "gthread"
workers = 2
threads = 8
keyfile = "server.key"
certfile = "server.pem"
ca_certs = "ca.pem"  # the CA of the clients' certificates
cert_reqs = 1  # ask for a certificate; 2 lets nobody in without one
