"""Lets all clients of a test process share what botocore and httpx compute for each of them, which makes the tests faster."""

import functools
import os

import botocore.session
import httpx._config
import httpx._transports.default
from botocore.client import ClientCreator
from botocore.hooks import EventAliaser
from botocore.model import ServiceModel

_event_names: dict[str, str] = {}


def share_caches():
    """Share the loader, the parsed models of services, the names of events, and CA certificates."""
    botocore.session.create_loader = functools.cache(botocore.session.create_loader)
    ClientCreator._load_service_model = _load_model  # type: ignore[attr-defined]
    EventAliaser.__init__ = _initialize  # type: ignore[method-assign]
    httpx._transports.default.create_ssl_context = _create_ssl_context  # type: ignore[attr-defined]


def _load_model(creator, service_name, api_version=None):
    return _parse_model(creator._loader, service_name, api_version)


@functools.cache
def _parse_model(loader, service_name, api_version):
    content = loader.load_service_model(service_name, "service-2", api_version=api_version)
    return ServiceModel(content, service_name=service_name)


_initialize_aliaser = EventAliaser.__init__


def _initialize(aliaser, event_emitter, event_aliases=None):
    _initialize_aliaser(aliaser, event_emitter, event_aliases)
    if event_aliases is None:
        aliaser._alias_name_cache = _event_names


def _create_ssl_context(verify=True, cert=None, trust_env=True):
    files = (os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    return _load_certificates(verify, cert, trust_env, files)


@functools.cache
def _load_certificates(verify, cert, trust_env, _files):
    # An OpenAI client would read all certificates once for itself, and once for each proxy.
    return httpx._config.create_ssl_context(verify, cert, trust_env)
