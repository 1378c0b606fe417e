"""The few calls of `requests` that the seed makes, for machines without that package."""

import json
import urllib.error
import urllib.parse
import urllib.request

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class HTTPError(Exception):
    """A status from 400 on."""


class Response:
    """An answer, read to its end."""

    def __init__(self, status, body):
        self.status_code = status
        self.text = body.decode()

    def json(self):
        return json.loads(self.text)

    def raise_for_status(self):
        if self.status_code >= 400:
            raise HTTPError(self.status_code)


def request(method, url, params=None, data=None, headers=None, timeout=60):
    if params:
        url += "?" + urllib.parse.urlencode(params)
    body = urllib.parse.urlencode(data).encode() if data else None
    call = urllib.request.Request(url, body, headers or {}, method=method)
    try:
        with _opener.open(call, timeout=timeout) as answer:
            return Response(answer.status, answer.read())
    except urllib.error.HTTPError as refused:
        return Response(refused.code, refused.read())


def post(url, **kwargs):
    return request("POST", url, **kwargs)


class Session:
    """Headers that go with every call."""

    def __init__(self):
        self.headers = {}

    def request(self, method, url, **kwargs):
        return request(method, url, headers=self.headers, **kwargs)
