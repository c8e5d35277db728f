//! The parameters in the path of a request.

use std::ops::Range;
use std::rc::Rc;

/// Where the parameters of a route are in the request's path.
#[derive(Default)]
pub(crate) struct RouteParams {
    pub(super) names: Option<Rc<[String]>>,
    pub(super) ranges: Vec<Range<u32>>,
}

impl RouteParams {
    #[inline]
    pub(crate) fn clear(&mut self) {
        if self.names.is_some() {
            self.names = None;
            self.ranges.clear();
        }
    }

    #[cfg(feature = "forms")]
    pub(crate) fn names(&self) -> &[String] {
        self.names.as_deref().unwrap_or_default()
    }

    pub(crate) fn range(&self, name: &str) -> Option<Range<usize>> {
        let position = self
            .names
            .as_ref()?
            .iter()
            .position(|known| known == name)?;
        let range = self.ranges.get(position)?;
        Some(range.start as usize..range.end as usize)
    }

    #[cfg(feature = "files")]
    pub(crate) fn last_range(&self) -> Option<Range<usize>> {
        let range = self.ranges.last()?;
        Some(range.start as usize..range.end as usize)
    }
}
