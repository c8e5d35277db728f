//! What a task has to do, behind one pointer: first the future, then its output.

use crate::debug::{Unread, unread};
use pin_project_lite::pin_project;
use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future of any output, as the loop sees it.
pub(crate) trait Work {
    /// Polls the future; keeps the output when it is done.
    fn step(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()>;

    /// The output, if it is there and may be an error.
    fn unread(self: Pin<&Self>) -> Option<Unread>;

    /// Moves the output into `slot`, an `Option<Output>`.
    fn take_output(self: Pin<&mut Self>, slot: &mut dyn Any);
}

pin_project! {
    /// A future in the place where its output will stand: a task is one allocation.
    #[project = WorkCellProjection]
    #[project_ref = WorkCellReference]
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

    fn unread(self: Pin<&Self>) -> Option<Unread> {
        match self.project_ref() {
            WorkCellReference::Finished { output } => unread(output.as_ref()?),
            WorkCellReference::Running { .. } => None,
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::rc::Rc;
    use std::task::Waker;

    struct CountDrop(Rc<Cell<u32>>);

    impl Drop for CountDrop {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }

    #[test]
    fn the_future_is_dropped_when_it_is_done_and_the_output_is_taken_once() {
        let (futures, outputs) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let held = CountDrop(futures.clone());
        let mut output = Some(CountDrop(outputs.clone()));
        let mut polls = 0;
        let mut work: Pin<Box<dyn Work>> = Box::pin(WorkCell::new(poll_fn(move |_| {
            let _ = &held;
            polls += 1;
            match polls {
                1 => Poll::Pending,
                _ => Poll::Ready(output.take().unwrap()),
            }
        })));
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(work.as_mut().step(cx).is_pending());
        assert_eq!(futures.get(), 0);
        assert!(work.as_mut().step(cx).is_ready());
        assert_eq!((futures.get(), outputs.get()), (1, 0));
        let mut slot: Option<CountDrop> = None;
        work.as_mut().take_output(&mut slot);
        assert!(slot.is_some());
        work.as_mut().take_output(&mut slot);
        assert!(slot.is_none());
        drop(work);
        assert_eq!((futures.get(), outputs.get()), (1, 1));
    }

    #[test]
    fn an_output_that_nobody_takes_is_dropped_with_the_task() {
        let outputs = Rc::new(Cell::new(0));
        let output = CountDrop(outputs.clone());
        let mut work: Pin<Box<dyn Work>> = Box::pin(WorkCell::new(async move { output }));
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(work.as_mut().step(cx).is_ready());
        assert_eq!(outputs.get(), 0);
        drop(work);
        assert_eq!(outputs.get(), 1);
    }
}
