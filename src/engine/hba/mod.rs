//! Host-based access: the repository's file judged in a throwaway, compared with a server's, and put in its place.
//!
//! - [`check`] has a real server parse a file, names dangers, and tries what is expected of it.
//! - [`live`] reads a running server's file; [`apply`] replaces it, and takes that back if dbbuild is locked out;
//!   [`adopt`] takes it into the repository. [`hand`] is who reads and writes on the server's machine.

pub mod adopt;
pub mod apply;
pub mod check;
mod hand;
pub mod live;
mod logins;
mod reach;
mod trial;
mod view;
