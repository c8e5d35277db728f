//! The README's table of places is true: files and names are there.

use std::path::Path;

#[test]
fn what_the_readme_says_is_somewhere_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let mut checked = 0;
    for row in readme.lines().filter(|line| line.contains(".rs` `")) {
        let mut quoted = row.split('`').skip(1).step_by(2);
        let (file, name) = (quoted.next().unwrap(), quoted.next().unwrap());
        let source = std::fs::read_to_string(root.join(file))
            .unwrap_or_else(|error| panic!("README names {file}: {error}"));
        let defined = ["fn ", "struct ", "enum "]
            .iter()
            .any(|keyword| source.contains(&format!("{keyword}{name}")));
        assert!(defined, "README says that {file} has `{name}`");
        checked += 1;
    }
    assert!(checked >= 10, "the table was found");
}
