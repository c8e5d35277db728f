//! What a form may hold.

/// The bounds of a form. That of the body as a whole stands beside them, and comes first unless
/// it was raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MultipartLimits {
    /// Fields, files among them. Precedent: Django, 100 files; a field costs an allocation or two.
    /// Default 100.
    pub fields_max: usize,
    /// Bytes of one field. Default: no bound but the body's.
    pub field_bytes_max: u64,
    /// Bytes of the form with all its heads and boundaries. Default: no bound but the body's.
    pub bytes_max: u64,
    /// Bytes in front of a field's content: its `Content-Disposition` and the like. Precedent:
    /// the head of a request, 16 KiB. Default 16 KiB, give or take a piece.
    pub field_head_bytes_max: usize,
    /// Bytes that [`bytes`](super::MultipartField::bytes) and
    /// [`text`](super::MultipartField::text) hold in memory. Default 1 MiB, as for bodies.
    pub collected_bytes_max: usize,
}

impl Default for MultipartLimits {
    fn default() -> Self {
        MultipartLimits {
            fields_max: 100,
            field_bytes_max: u64::MAX,
            bytes_max: u64::MAX,
            field_head_bytes_max: 16 * 1024,
            collected_bytes_max: 1024 * 1024,
        }
    }
}
