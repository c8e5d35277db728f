//! What a [`Files`](super::Files) was told.

use super::content_type;
use super::open::Symlinks;
use http::HeaderValue;
use std::path::PathBuf;

#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) root: PathBuf,
    pub(super) symlinks: Symlinks,
    pub(super) shows_dotfiles: bool,
    pub(super) index: Option<String>,
    pub(super) has_copies: bool,
    pub(super) cache_control: Option<HeaderValue>,
    pub(super) open_files_max: usize,
    /// By extension, before what is known of it.
    pub(super) content_types: Vec<(String, HeaderValue)>,
}

impl Settings {
    pub(super) fn content_type(&self, name: &str) -> HeaderValue {
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        let own = self.content_types.iter();
        own.rev()
            .find(|(known, _)| known.eq_ignore_ascii_case(extension))
            .map_or_else(|| content_type::of_name(name), |(_, value)| value.clone())
    }
}
