//! Many members in one process, without a chain.
