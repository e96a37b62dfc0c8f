"""The plain data that passes between the phases. All of it can be pickled.

Frequent types are named tuples: creating and pickling them is several times as fast.
"""
