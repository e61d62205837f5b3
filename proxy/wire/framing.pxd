# C types for framing.py (Cython pure-Python mode): the .py file stays the only implementation.
cimport cython

cdef class FrameReader:
    cdef public Py_ssize_t limit
    cdef public bytes buffer
    cdef public Py_ssize_t start
    cdef public Py_ssize_t stop
    cdef public Py_ssize_t remaining
    cdef list _chunks
    cdef Py_ssize_t _queued

    cpdef object feed(self, bytes data)
    cpdef Py_ssize_t waiting(self)
    @cython.locals(length=Py_ssize_t)
    cpdef int next(self) except -3
    @cython.locals(length=Py_ssize_t)
    cpdef int next_startup(self) except -3
    @cython.locals(buffer=bytes, kind=cython.uchar, end=Py_ssize_t, position=Py_ssize_t, count=Py_ssize_t, length=Py_ssize_t, high=Py_ssize_t)
    cpdef Py_ssize_t run(self) except -3
    @cython.locals(length=Py_ssize_t)
    cpdef int peek(self) except -3
    cpdef Py_ssize_t size(self) except -3
    cpdef bytes beginning(self)
    cpdef object stream(self)
    @cython.locals(available=Py_ssize_t)
    cdef int _continue(self) except -3
    @cython.locals(held=Py_ssize_t)
    cdef bint _gather(self, Py_ssize_t needed) except -1
    @cython.locals(buffer=bytes, high=Py_ssize_t)
    cdef Py_ssize_t _length(self, Py_ssize_t position) except -1
