"""The whole product as child processes of one foreground process: `manage.py stack`.

    supervisor   what is started, in which order, started again when it dies, stopped in reverse
    secrets      generated once per directory, kept in `stack.env`
    children     the command lines of gunicorn, Celery and the proxy worker
    postgres     an embedded PostgreSQL: the control database here, targets in the demo and the tests
    valkey       an embedded broker
    guard        a small process around each child: no child outlives the process that started it
    process      a guarded child as its parent sees it
    account      the account that PostgreSQL runs under, since it refuses to run as root

Nothing here imports Django before the secrets exist.
"""
