//! Why a task group has no result.

use crate::task::{Cancelled, Panic};
use std::error::Error;
use std::fmt;

/// What went wrong in a [`task_group`](crate::task_group): what ended it, and what else failed
/// before all were gone.
///
/// Failures are in the order in which they happened. There is seldom more than one: the siblings
/// of a task that fails are dropped before their next step. Others come from destructors that
/// panic, and from tasks that fail in the very step in which they ended the group.
pub struct GroupError<E> {
    first: GroupFailure<E>,
    others: Vec<GroupFailure<E>>,
}

/// One failure in a task group.
pub enum GroupFailure<E> {
    /// The body, or a task, returned an error.
    Failed(E),
    /// A task panicked, or a destructor in it.
    Panicked(Panic),
    /// [`TaskGroup::cancel`](crate::TaskGroup::cancel) was called.
    Cancelled(Cancelled),
}

impl<E> GroupError<E> {
    /// `None` when nothing failed.
    pub(crate) fn of(failures: Vec<GroupFailure<E>>) -> Option<Self> {
        let mut failures = failures.into_iter();
        Some(GroupError {
            first: failures.next()?,
            others: failures.collect(),
        })
    }

    /// What ended the group.
    #[must_use]
    pub fn first(&self) -> &GroupFailure<E> {
        &self.first
    }

    /// What ended the group; forgets the others.
    #[must_use]
    pub fn into_first(self) -> GroupFailure<E> {
        self.first
    }

    /// What failed afterwards.
    #[must_use]
    pub fn others(&self) -> &[GroupFailure<E>] {
        &self.others
    }

    /// The first error that the body or a task returned.
    #[must_use]
    pub fn error(&self) -> Option<&E> {
        self.iter().find_map(|failure| match failure {
            GroupFailure::Failed(error) => Some(error),
            GroupFailure::Panicked(_) | GroupFailure::Cancelled(_) => None,
        })
    }

    /// Set when the group ended because it was cancelled.
    #[must_use]
    pub fn cancelled(&self) -> Option<&Cancelled> {
        match &self.first {
            GroupFailure::Cancelled(cancelled) => Some(cancelled),
            GroupFailure::Failed(_) | GroupFailure::Panicked(_) => None,
        }
    }

    /// All failures, in order.
    pub fn iter(&self) -> impl Iterator<Item = &GroupFailure<E>> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

/// All failures, in order.
impl<E> IntoIterator for GroupError<E> {
    type Item = GroupFailure<E>;
    type IntoIter =
        std::iter::Chain<std::iter::Once<GroupFailure<E>>, std::vec::IntoIter<GroupFailure<E>>>;

    fn into_iter(self) -> Self::IntoIter {
        std::iter::once(self.first).chain(self.others)
    }
}

impl<E: fmt::Display> fmt::Display for GroupError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fmt(f)?;
        match self.others.len() {
            0 => Ok(()),
            others => write!(f, " (and {others} more in the same group)"),
        }
    }
}

impl<E: fmt::Display> fmt::Display for GroupFailure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GroupFailure::Failed(error) => error.fmt(f),
            GroupFailure::Panicked(panic) => write!(f, "task panicked: {}", panic.message()),
            GroupFailure::Cancelled(cancelled) => {
                write!(f, "task group was cancelled: {}", cancelled.reason)
            }
        }
    }
}

impl<E: fmt::Debug> fmt::Debug for GroupError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupError")
            .field("first", &self.first)
            .field("others", &self.others)
            .finish()
    }
}

impl<E: fmt::Debug> fmt::Debug for GroupFailure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GroupFailure::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
            GroupFailure::Panicked(panic) => panic.fmt(f),
            GroupFailure::Cancelled(cancelled) => cancelled.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for GroupError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.first {
            GroupFailure::Failed(error) => error.source(),
            GroupFailure::Cancelled(cancelled) => Some(cancelled),
            GroupFailure::Panicked(_) => None,
        }
    }
}
