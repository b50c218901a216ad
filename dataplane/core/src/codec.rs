//! What each codec's packets say about frames and layers.
