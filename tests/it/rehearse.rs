//! `dbbuild rehearse`: what is pending, run on a copy of the real data.
