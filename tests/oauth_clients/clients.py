"""Authlib and PyJWT as clients of the demo. Takes the name of a case and, on standard input, what
the case needs as JSON; ends with an exception where something is not as it must be."""

import base64
import hmac
import json
import os
import sys

# The demo has no TLS; without this Authlib talks to no such server.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

import jwt
import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc6749.errors import OAuth2Error
from authlib.oauth2.rfc6750.errors import InsufficientScopeError, InvalidTokenError
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from cryptography.hazmat.primitives.asymmetric import ec

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
JWT = "urn:ietf:params:oauth:token-type:jwt"
REPORTS = "https://reports.example"


class Demo:
    def __init__(self, given):
        self.issuer = given["issuer"]
        self.personal = given["personal"]
        self.gateway = given["gateway"]
        self.nightly = given["nightly"]
        self.refresh = given["refresh_token"]
        url = self.issuer + "/.well-known/oauth-authorization-server"
        self.metadata = AuthorizationServerMetadata(requests.get(url, timeout=10).json())

    def session(self, client, method="client_secret_basic", **more):
        return OAuth2Session(
            client["id"],
            client["secret"],
            token_endpoint_auth_method=method,
            revocation_endpoint_auth_method=method,
            token_endpoint=self.metadata["token_endpoint"],
            default_timeout=10,
            **more,
        )

    def exchange(self, session, **more):
        more = {"subject_token": self.personal, "subject_token_type": ACCESS_TOKEN} | more
        return session.fetch_token(grant_type=EXCHANGE, **more)

    def me(self, token):
        header = {"Authorization": f"Bearer {token}"}
        return requests.get(self.issuer + "/me", headers=header, timeout=10)

    def introspect(self, token):
        session = self.session(self.gateway)
        answer = session.introspect_token(self.metadata["introspection_endpoint"], token=token)
        assert answer.status_code == 200, answer.text
        return answer.json()


def refused(error, call):
    """The call fails with this OAuth error."""
    try:
        call()
    except (OAuthError, OAuth2Error) as raised:
        assert raised.error == error, raised
    else:
        raise AssertionError(f"not refused with {error}")


def raises(kind, call):
    try:
        call()
    except kind:
        return
    raise AssertionError(f"not refused with {kind.__name__}")


def authlib_reads_the_metadata(demo):
    # RFC 8414 asks for this list even if it is empty, and Authlib takes an empty one for none.
    assert demo.metadata["response_types_supported"] == []
    AuthorizationServerMetadata(demo.metadata | {"response_types_supported": ["none"]}).validate()
    assert demo.metadata["issuer"] == demo.issuer
    assert EXCHANGE in demo.metadata["grant_types_supported"]
    assert "refresh_token" in demo.metadata["grant_types_supported"]


def authlib_exchanges(demo):
    for method in ["client_secret_basic", "client_secret_post"]:
        session = demo.session(demo.gateway, method)
        token = demo.exchange(session, scope="read")
        assert token["issued_token_type"] == ACCESS_TOKEN and token["token_type"] == "Bearer"
        assert token["expires_in"] == 900 and token["scope"] == "read"
        assert "refresh_token" not in token
        # The session sends it by itself.
        me = session.get(demo.issuer + "/me").json()
        assert (me["user"], me["kind"], me["scopes"]) == ("alice", "at", ["read"]), me
        refused("invalid_scope", lambda: demo.exchange(session, scope="openid"))
        refused("invalid_target", lambda: demo.exchange(session, audience="https://x.example"))
        again = token["access_token"]
        refused("invalid_request", lambda: demo.exchange(session, subject_token=again))
    wrong = demo.session({"id": demo.gateway["id"], "secret": "wrong"})
    refused("invalid_client", lambda: demo.exchange(wrong))


def authlib_refreshes(demo):
    session = demo.session(demo.nightly, "client_secret_post")
    first = session.refresh_token(refresh_token=demo.refresh)
    assert first["token_type"] == "Bearer" and first["expires_in"] == 3600
    assert session.get(demo.issuer + "/me").json()["kind"] == "app"
    second = session.refresh_token()
    assert second["refresh_token"] not in [demo.refresh, first["refresh_token"]]
    assert demo.me(second["access_token"]).status_code == 200
    # The first one is spent, and so is the one after it: somebody else has it too.
    refused("invalid_grant", lambda: session.refresh_token(refresh_token=demo.refresh))
    refused("invalid_grant", lambda: session.refresh_token(refresh_token=second["refresh_token"]))
    assert demo.me(second["access_token"]).status_code == 401


def authlib_introspects_and_revokes(demo):
    token = demo.exchange(demo.session(demo.gateway), scope="read")["access_token"]
    told = demo.introspect(token)
    assert told["active"] is True and told["scope"] == "read" and told["sub"] == "alice", told
    assert told["client_id"] == demo.gateway["id"] and told["iss"] == demo.issuer
    assert told["exp"] - told["iat"] == 900
    for hint in ["access_token", "refresh_token", None]:
        answer = demo.session(demo.gateway).revoke_token(
            demo.metadata["revocation_endpoint"], token=token, token_type_hint=hint
        )
        assert (answer.status_code, answer.content) == (200, b""), answer.text
        assert demo.introspect(token) == {"active": False}
    assert demo.me(token).status_code == 401
    assert demo.me(demo.personal).status_code == 200


def authlib_ends_a_family_with_its_parent(demo):
    session = demo.session(demo.gateway)
    opaque = demo.exchange(session)["access_token"]
    signed = demo.exchange(session, requested_token_type=JWT)["access_token"]
    assert demo.me(opaque).status_code == demo.me(signed).status_code == 200
    # Whoever holds the personal token may end it.
    nobody = OAuth2Session(None, None, revocation_endpoint_auth_method="none")
    url = demo.metadata["revocation_endpoint"]
    answer = nobody.post(url, data={"token": demo.personal}, withhold_token=True)
    assert answer.status_code == 200, answer.text
    for token in [demo.personal, opaque, signed]:
        assert demo.me(token).status_code == 401
        assert demo.introspect(token) == {"active": False}
    refused("invalid_request", lambda: demo.exchange(session))


class Reports(JWTBearerTokenValidator):
    """A service that verifies tokens as RFC 9068 says."""

    def __init__(self, demo, audience):
        super().__init__(issuer=demo.issuer, resource_server=audience)
        self.keys = requests.get(demo.metadata["jwks_uri"], timeout=10).json()

    def get_jwks(self):
        return self.keys

    def check(self, text, scopes):
        token = self.authenticate_token(text)
        self.validate_token(token, scopes, None)
        return token


def authlib_verifies_as_rfc_9068_says(demo):
    token = demo.exchange(
        demo.session(demo.gateway), requested_token_type=JWT, resource=REPORTS, scope="read"
    )
    assert token["issued_token_type"] == JWT and token["expires_in"] == 600, token
    text = token["access_token"]
    claims = Reports(demo, REPORTS).check(text, ["read"])
    assert claims["sub"] == "alice" and claims["client_id"] == demo.gateway["id"]
    assert claims.header["typ"] == "at+jwt" and claims.header["alg"] == "ES256"
    raises(InsufficientScopeError, lambda: Reports(demo, REPORTS).check(text, ["write"]))
    raises(InvalidTokenError, lambda: Reports(demo, "https://x.example").check(text, ["read"]))
    raises(InvalidTokenError, lambda: Reports(demo, REPORTS).check(forged(text), ["read"]))
    # It is for that service and not for the demo.
    assert demo.me(text).status_code == 401


def pyjwt_verifies_by_the_key_set(demo):
    token = demo.exchange(demo.session(demo.gateway), requested_token_type=JWT, audience=REPORTS)
    text = token["access_token"]
    keys = jwt.PyJWKClient(demo.metadata["jwks_uri"])

    def decode(text, audience=REPORTS, issuer=demo.issuer):
        required = ["iss", "sub", "aud", "exp", "iat", "jti", "client_id"]
        return jwt.decode(
            text,
            keys.get_signing_key_from_jwt(text).key,
            algorithms=["ES256"],
            audience=audience,
            issuer=issuer,
            options={"require": required},
        )

    claims = decode(text)
    assert claims["sub"] == "alice" and claims["exp"] - claims["iat"] == 600
    assert jwt.get_unverified_header(text)["typ"] == "at+jwt"
    told = demo.introspect(text)
    assert told["active"] is True and told["token_type"] == "Bearer", told
    for claim in ["iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope"]:
        assert told[claim] == claims[claim], claim
    # One for the demo itself names its issuer, as the claim does.
    own = demo.exchange(demo.session(demo.gateway), requested_token_type=JWT)["access_token"]
    assert demo.introspect(own)["aud"] == decode(own, audience=demo.issuer)["aud"] == demo.issuer
    raises(jwt.InvalidAudienceError, lambda: decode(text, audience="https://x.example"))
    raises(jwt.InvalidIssuerError, lambda: decode(text, issuer="https://x.example"))
    raises(jwt.InvalidSignatureError, lambda: decode(forged(text)))


def forgeries_of_pyjwt_are_refused(demo):
    good = demo.exchange(demo.session(demo.gateway), requested_token_type=JWT)["access_token"]
    header = jwt.get_unverified_header(good)
    claims = jwt.decode(good, options={"verify_signature": False})
    assert demo.me(good).status_code == 200
    public = requests.get(demo.metadata["jwks_uri"], timeout=10).text
    own = {"typ": header["typ"], "kid": header["kid"]}
    stranger = ec.generate_private_key(ec.SECP256R1())
    attempts = {
        "none": jwt.encode(claims, None, "none", own),
        "a shared secret": jwt.encode(claims, "s" * 32, "HS256", own),
        "the public key as one": keyed(own | {"alg": "HS256"}, claims, public),
        "another key": jwt.encode(claims, stranger, "ES256", own),
        "another signature": forged(good),
    }
    bad = requests.get(demo.issuer + "/me", headers={"Authorization": "Bearer x"}, timeout=10)
    for name, text in attempts.items():
        answer = demo.me(text)
        assert (answer.status_code, answer.text) == (401, bad.text), name
        challenge = answer.headers["WWW-Authenticate"]
        assert challenge == bad.headers["WWW-Authenticate"], name
        assert demo.introspect(text) == {"active": False}, name


def keyed(header, claims, secret):
    """A token under HS256, with whatever PyJWT would not take for a secret."""
    part = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=")
    message = b".".join(part(json.dumps(object).encode()) for object in (header, claims))
    tag = hmac.digest(secret.encode(), message, "sha256")
    return (message + b"." + part(tag)).decode()


def forged(text):
    """The token with another signature of the right length."""
    signed, signature = text.rsplit(".", 1)
    return signed + "." + ("A" if signature[0] != "A" else "B") + signature[1:]


CASES = [
    authlib_reads_the_metadata,
    authlib_exchanges,
    authlib_refreshes,
    authlib_introspects_and_revokes,
    authlib_ends_a_family_with_its_parent,
    authlib_verifies_as_rfc_9068_says,
    pyjwt_verifies_by_the_key_set,
    forgeries_of_pyjwt_are_refused,
]

if __name__ == "__main__":
    cases = {case.__name__: case for case in CASES}
    cases[sys.argv[1]](Demo(json.load(sys.stdin)))
