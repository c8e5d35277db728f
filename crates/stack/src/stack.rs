//! A stack that was captured, and its functions by name.

use crate::platform;
use std::fmt;
use std::path::PathBuf;

/// The stack of a thread at one moment: addresses. Names are looked up when they are asked for,
/// which reads the program's debug information: up to half a second the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// The innermost first: where the thread was, then where each call returns to.
    pub(crate) addresses: Vec<usize>,
    pub(crate) is_complete: bool,
}

impl Stack {
    /// The functions, the innermost first; inlined ones too.
    #[must_use]
    pub fn frames(&self) -> Vec<Frame> {
        let addresses = self.addresses.iter().enumerate();
        addresses
            .flat_map(|(depth, &address)| platform::frames_at(address, depth > 0))
            .collect()
    }

    /// Whether it goes down to where the thread began. It does not when the stack is deeper than
    /// 256 KiB, and where unwind tables are missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }
}

/// One function a line, the innermost first.
impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, frame) in self.frames().iter().enumerate() {
            if depth > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{frame}")?;
        }
        if !self.is_complete {
            f.write_str("\n... and what called it")?;
        }
        Ok(())
    }
}

/// A function on a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Frame {
    /// Its name with its path, without the compiler's hash; `None` without symbols.
    pub function: Option<String>,
    /// The source file.
    pub file: Option<PathBuf>,
    /// The line in it.
    pub line: Option<u32>,
    /// The address of the instruction, or of the one that it returns to.
    pub address: usize,
}

impl Frame {
    pub(crate) fn unnamed(address: usize) -> Self {
        Frame {
            function: None,
            file: None,
            line: None,
            address,
        }
    }
}

/// `function (file:line)`, as far as it is known.
impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.function {
            Some(function) => f.write_str(function)?,
            None => write!(f, "{:#x}", self.address)?,
        }
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, " ({}:{line})", file.display()),
            (Some(file), None) => write!(f, " ({})", file.display()),
            (None, _) => Ok(()),
        }
    }
}
