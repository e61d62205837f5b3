# C types for rows.py (Cython pure-Python mode): the .py file stays the only implementation.
cimport cython

@cython.locals(rewritten=Py_ssize_t, position=Py_ssize_t, end=Py_ssize_t, parts=list)
cpdef tuple rewrite_rows(bytes buffer, Py_ssize_t start, Py_ssize_t stop, tuple columns, object rewrite)
@cython.locals(count=Py_ssize_t, wanted=Py_ssize_t, copied=Py_ssize_t, position=Py_ssize_t, column=Py_ssize_t, after=Py_ssize_t, changed=Py_ssize_t, k=Py_ssize_t, head=Py_ssize_t, length=Py_ssize_t, cell=bytes)
cdef Py_ssize_t _rewrite_row(bytes buffer, Py_ssize_t start, Py_ssize_t end, tuple columns, object rewrite, list parts) except -1
cdef Py_ssize_t _skip(bytes buffer, Py_ssize_t position, Py_ssize_t end) except -1
@cython.locals(high=Py_ssize_t)
cdef Py_ssize_t _length(bytes buffer, Py_ssize_t position, Py_ssize_t end) except -1
