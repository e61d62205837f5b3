"""The PostgreSQL protocol, version 3: bytes to messages and back.

``framing`` finds the messages in what arrives, ``codec`` holds the primitive types, ``frontend`` and ``backend`` the messages
of either direction, ``rows`` rewrites cells of rows in place, ``scram`` and ``md5`` are the password methods, ``values``
reads and writes single values, ``conditions`` names the SQLSTATEs.
"""
