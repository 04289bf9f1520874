//! Host-based access: the repository's file judged in a throwaway, compared with a server's, and put in its place.
//!
//! - [`check`] has a real server parse a file, names dangers, and tries what is expected of it; [`texts`] is what it
//!   judges.
//! - [`live`] reads a running server's file; [`apply`] replaces it, and takes that back if dbbuild is locked out;
//!   [`adopt`] takes it into the repository. [`place`] is its file on this machine, [`hand`] who reads and writes it,
//!   [`change`] what was replaced.

pub mod adopt;
pub mod apply;
mod change;
pub mod check;
mod hand;
pub mod live;
mod logins;
mod place;
mod reach;
pub mod texts;
mod trial;
mod view;
