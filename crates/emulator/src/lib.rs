//! Managed Service for Apache Flink on a laptop.

pub mod data_plane;
