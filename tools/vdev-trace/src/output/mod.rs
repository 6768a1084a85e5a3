//! What is made of records: a file for each format. Each is a [`Sink`](crate::records::sink::Sink).
//!
//! `words` and `curves` are what several formats share; `files` is where they are written to.

pub mod check;
pub mod chrome;
pub mod ctf;
mod curves;
pub mod files;
pub mod html;
pub mod stats;
pub mod text;
mod words;
