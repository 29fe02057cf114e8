//! ISO 8583: bytes to message and back, under a spec.
