"""A Django service, with a view of REST framework, that takes certificate-bound access tokens, and no others.

It is one file so that it can be read at once; in a project these are settings, views and URLs of their own. Its
configuration is three environment variables. gunicorn ends TLS, and gives the application its socket, which knows the
certificate that the client has proven::

    TOKEN_ISSUER=https://as.example TOKEN_AUDIENCE=https://api.example TOKEN_JWKS=jwks.json \\
    gunicorn django_service:application --bind 127.0.0.1:8443 --worker-class gthread \\
        --keyfile server.key --certfile server.pem --ca-certs ca.pem --cert-reqs 1

TOKEN_JWKS is a file with the issuer's public keys. ``--cert-reqs 1`` asks every client for a certificate, and lets
probes in without one; 2 would insist. ``--ca-certs`` is the CA of the *clients*.
"""
# ruff: noqa: E402 - Django wants its settings first

import json
import os
from pathlib import Path

from django.conf import settings

from tokenbind import KeySet, TokenVerifier


def verifier() -> TokenVerifier:
    """Whose tokens are good here."""
    return TokenVerifier(
        issuer=os.environ["TOKEN_ISSUER"],
        audience=os.environ["TOKEN_AUDIENCE"],
        keys=KeySet.from_jwks(json.loads(Path(os.environ["TOKEN_JWKS"]).read_text())),
    )


settings.configure(
    MIDDLEWARE=[
        "tokenbind.resource_server.django.BoundTokenMiddleware",
        "django.middleware.common.CommonMiddleware",
    ],
    TOKENBIND={"verifier": verifier, "exempt": {("GET", "/health")}},
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": ["tokenbind.resource_server.rest_framework.BoundTokenAuthentication"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "UNAUTHENTICATED_USER": None,  # there is no django.contrib.auth
    },
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["127.0.0.1"],
    SECRET_KEY=os.urandom(32).hex(),
)

from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tokenbind.resource_server import rest_framework
from tokenbind.resource_server.django import bound_token, require_scope


def health(_request: HttpRequest) -> JsonResponse:
    """No token is asked for: the middleware lets this path through."""
    return JsonResponse({"status": "ok"})


@require_scope("invoices:read")
def invoices(request: HttpRequest) -> JsonResponse:
    """A view of Django."""
    return JsonResponse({"invoices": ["2026-001"], "client": bound_token(request).client_id})


class Payments(APIView):
    """A view of REST framework."""

    permission_classes = (rest_framework.require_scope("payments:read"),)

    def get(self, request: Request) -> Response:
        """The payments of the client."""
        return Response({"payments": [], "client": request.auth.client_id})


urlpatterns = [path("health", health), path("invoices", invoices), path("payments", Payments.as_view())]
application = get_wsgi_application()
