//! Hand-made records, good ones and broken ones.
