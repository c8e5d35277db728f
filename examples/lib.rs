//! Nothing to call: the examples of monoloop are the files beside this one, one topic each.
