//! What the user sees, complete, for each mistake that the language knows. The snapshots
//! stand beside the text that causes them; `cargo insta review` updates them.

mod contents;
mod files;
mod images;
mod listing;
mod locations;
mod logger;
mod only_qnx;
mod options;
mod ram;
mod told;
mod variables;
mod words;
