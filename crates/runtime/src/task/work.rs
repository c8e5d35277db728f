//! What a task has to do, behind one pointer: first the future, then its output.

use pin_project_lite::pin_project;
use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future of any output, as the loop sees it.
pub(crate) trait Work {
    /// Polls the future; keeps the output when it is done.
    fn step(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()>;

    /// Moves the output into `slot`, an `Option<Output>`.
    fn take_output(self: Pin<&mut Self>, slot: &mut dyn Any);
}

pin_project! {
    /// A future in the place where its output will stand: a task is one allocation.
    #[project = WorkCellProjection]
    pub(crate) enum WorkCell<F: Future> {
        Running { #[pin] future: F },
        Finished { output: Option<F::Output> },
    }
}

impl<F: Future> WorkCell<F> {
    pub(crate) fn new(future: F) -> Self {
        WorkCell::Running { future }
    }
}

impl<F> Work for WorkCell<F>
where
    F: Future + 'static,
    F::Output: 'static,
{
    #[inline]
    fn step(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let WorkCellProjection::Running { future } = self.as_mut().project() else {
            unreachable!("a finished task is not stepped")
        };
        let Poll::Ready(output) = future.poll(cx) else {
            return Poll::Pending;
        };
        // Drops the future here, inside the step, where user code may run.
        self.set(WorkCell::Finished {
            output: Some(output),
        });
        Poll::Ready(())
    }

    fn take_output(self: Pin<&mut Self>, slot: &mut dyn Any) {
        let WorkCellProjection::Finished { output } = self.project() else {
            unreachable!("only a finished task has an output")
        };
        *slot
            .downcast_mut::<Option<F::Output>>()
            .expect("a join handle is typed by the future it was made for") = output.take();
    }
}
