"""One client connection: events in, effects out.

===============  ============================================================================================
``session``      the door: ``Session.receive(event, now) -> list[Effect]``, and how everything ends
``startup``      who is it? encryption, StartupMessage, API key or token (``settings``: what a client may set)
``upstream``     the gateway's own sign-in at the target
``relay``        statements: examine, decide, forward, refuse, and waiting for answers
``requests``     each message of the client          ``replies``   each message of the server
``gate``         context, analysis request, decision ``standing``  may who is connected still be?
``names``        what names mean: search path, probe ``named``     what SQL runs by a name (EXECUTE, FETCH)
``forward``      the only way to the server          ``hold``      waiting for a human (``approval``: what is asked)
``pending``      the queue of expected replies       ``prepared``  prepared statements and portals
``transform``    masks and sanitised errors          ``records``   fields of audit records
``state``        what the phases share               ``outbox``    the effects of one event, in order
``environment``  what the worker keeps up to date
===============  ============================================================================================
"""
