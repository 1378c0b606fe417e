//! What a demo leaves behind: nothing.

use crate::harness::Site;

#[test]
fn two_demos_in_a_row_refresh_everything_and_leave_no_process_and_no_file() {
    let site = Site::new();
    let temp = site.path("tmp");
    std::fs::create_dir(&temp).expect("it is writable");
    let site = site.env("TMPDIR", temp.to_string_lossy());
    let quiet = &["demo", "--channels", "200", "--once"][..];
    let faults = [
        "--fault",
        "status_500=0.2",
        "--fault",
        "tiktok.cut_before_commit=0.1",
    ];

    let first = site.ok(quiet);
    let second = site.ok(&[quiet, &faults].concat());

    for out in [&first, &second] {
        assert!(
            out.contains("every one of 200 due channels was refreshed"),
            "{out}"
        );
    }
    let left: Vec<_> = std::fs::read_dir(&temp)
        .expect("it is there")
        .flatten()
        .collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(processes_below(&site.path("")), Vec::<String>::new());
}

/// Programs that work in this directory or under it.
fn processes_below(dir: &std::path::Path) -> Vec<String> {
    let dir = dir.canonicalize().expect("it is there");
    let processes = std::fs::read_dir("/proc").expect("Linux shows processes");
    processes
        .flatten()
        .filter(|it| {
            it.path()
                .join("cwd")
                .read_link()
                .is_ok_and(|cwd| cwd.starts_with(&dir))
        })
        .map(|it| std::fs::read_to_string(it.path().join("comm")).unwrap_or_default())
        .collect()
}
