//! The rule tested as an instrument.
