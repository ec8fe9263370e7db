//! One deployment of an application at a time: reads and writes the item that says whose turn it is.
