"""The policy file: one YAML text for everything an admin can set (docs: the policy file).

::

    document.py   YAML with line numbers            → Source
    schema.py     the JSON Schema, and what its complaints mean in words
    checks.py     names that dangle, combinations that cannot be
    normal.py     an entry as written               → the same with every default filled in
    current.py    what the database holds           → the same form, so that the two can be compared, and exported
    plan.py       the difference: create, change, remove
    apply.py      the difference carried out, in one transaction
"""
