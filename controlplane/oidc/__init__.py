"""People's sign-in by an OpenID Connect provider: the authorization code flow with PKCE, state and nonce.

    configuration  what the environment says of the provider
    provider       its addresses and keys, fetched and kept
    id_token       whether an ID token is the provider's answer to this very sign-in
    people         the account of an identity, with the groups and roles that the provider says
    problems       everything that can go wrong, and what the person is told
    backend, views mozilla-django-oidc, with the above in the places where it trusts

An identity is the pair of issuer and ``sub``. Names and e-mail addresses never lead to an account: they can be reassigned.
"""
