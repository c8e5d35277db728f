//! `monoloop pstree`: which task spawned which.

use crate::failure::Failure;
use crate::{Target, format, ps};
use monoloop::introspect::{LoopReport, Report, TaskReport};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::io::{self, Write};

/// A task with those that it spawned. Of a task whose parent has ended, nothing is above it.
#[derive(Serialize)]
struct Branch<'a> {
    #[serde(flatten)]
    task: &'a TaskReport,
    children: Vec<Branch<'a>>,
}

#[derive(Serialize)]
struct Tree<'a> {
    #[serde(rename = "loop")]
    number: usize,
    tasks: Vec<Branch<'a>>,
}

/// Deeper than this, tasks are shown beside their parents: nobody can follow, and neither
/// should the stack.
const DEPTH_MAX: usize = 64;

pub(crate) fn run(target: &Target) -> Result<(), Failure> {
    let report = target.report()?;
    let trees: Vec<Tree<'_>> = report.loops.iter().map(tree).collect();
    let to = &mut io::stdout().lock();
    if target.json {
        serde_json::to_writer(&mut *to, &trees).map_err(io::Error::from)?;
        writeln!(to)?;
        return Ok(());
    }
    ps::warn(&report);
    for tree in &trees {
        let many = report.loops.len() > 1;
        if many {
            writeln!(to, "loop {}", tree.number)?;
        }
        let count = tree.tasks.len();
        for (index, branch) in tree.tasks.iter().enumerate() {
            let prefix = match many {
                true => Prefix::default().under(index + 1 == count),
                false => Prefix::default(),
            };
            write_branch(to, &report, tree.number, branch, &prefix)?;
        }
    }
    Ok(())
}

fn tree(of: &LoopReport) -> Tree<'_> {
    let ids: HashSet<&str> = of.tasks.iter().map(|task| task.id.as_str()).collect();
    let mut children: HashMap<Option<&str>, Vec<&TaskReport>> = HashMap::new();
    for task in &of.tasks {
        let parent = task.parent.as_deref().filter(|id| ids.contains(id));
        children.entry(parent).or_default().push(task);
    }
    let mut tasks = branches(&mut children, None, 0);
    // What is left hangs too deep.
    let mut rest: Vec<&TaskReport> = children.into_values().flatten().collect();
    rest.sort_by(|one, other| one.id.cmp(&other.id));
    tasks.extend(rest.into_iter().map(|task| Branch {
        task,
        children: Vec::new(),
    }));
    Tree {
        number: of.number,
        tasks,
    }
}

fn branches<'a>(
    children: &mut HashMap<Option<&'a str>, Vec<&'a TaskReport>>,
    parent: Option<&'a str>,
    depth: usize,
) -> Vec<Branch<'a>> {
    if depth > DEPTH_MAX {
        return Vec::new();
    }
    let tasks = children.remove(&parent).unwrap_or_default();
    let branch = |task: &'a TaskReport| Branch {
        task,
        children: branches(children, Some(&task.id), depth + 1),
    };
    tasks.into_iter().map(branch).collect()
}

/// What stands before a task, and before those below it.
#[derive(Default)]
struct Prefix {
    own: String,
    below: String,
}

impl Prefix {
    fn under(&self, is_last: bool) -> Prefix {
        let (own, below) = match is_last {
            true => ("└─ ", "   "),
            false => ("├─ ", "│  "),
        };
        Prefix {
            own: format!("{}{own}", self.below),
            below: format!("{}{below}", self.below),
        }
    }
}

fn write_branch(
    to: &mut dyn Write,
    report: &Report,
    number: usize,
    branch: &Branch<'_>,
    prefix: &Prefix,
) -> io::Result<()> {
    let task = branch.task;
    let context = format::context(&task.context);
    let line = format!(
        "{}{} {} {} {} {}",
        prefix.own,
        format::name(task.name.as_deref(), &task.place),
        format::id(report, number, &task.id),
        format::text(&task.state),
        match task.state.as_str() {
            "waiting" => format::waits_on(task),
            _ => String::new(),
        },
        context,
    );
    writeln!(to, "{}", line.trim_end())?;
    let count = branch.children.len();
    for (index, child) in branch.children.iter().enumerate() {
        write_branch(to, report, number, child, &prefix.under(index + 1 == count))?;
    }
    Ok(())
}
