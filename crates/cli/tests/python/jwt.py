"""The one call of PyJWT that the seed makes, for machines without that package."""

import base64
import json


def decode(token, options):
    assert options == {"verify_signature": False}
    claims = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
