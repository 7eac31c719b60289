//! Test Counterweight from a seed.
