//! Statements are found as psql finds them, and told apart.
