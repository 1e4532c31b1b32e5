//! Tests of the frame's machine.
