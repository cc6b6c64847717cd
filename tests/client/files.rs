//! Credentials in files and variables.

use std::fs;
use std::path::Path;

use hallpass::client::{Credential, NewFile};

const TOKEN: &str = "acme_pat_ABCDEFGHIJKLMNOP_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG4RAzs0";

fn write(path: &Path, bytes: &[u8], mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn refusal(path: &Path) -> String {
    let error = Credential::from_file(path).unwrap_err();
    let text = format!("{error:?} {error}");
    assert!(!text.contains(TOKEN), "{text}");
    error.to_string()
}

#[cfg(unix)]
#[test]
fn one_line_break_at_the_end_of_a_file_is_forgiven() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pat");
    let place = path.display();
    for end in ["", "\n", "\r\n"] {
        write(&path, format!("{TOKEN}{end}").as_bytes(), 0o600);
        assert_eq!(Credential::from_file(&path).unwrap().expose(), TOKEN);
    }
    for (bytes, character, position) in [
        (format!("{TOKEN}\n\n"), "a line break", 76),
        (format!("{TOKEN}\r"), "a carriage return", 76),
        (format!("{TOKEN}\r\r\n"), "a carriage return", 76),
        (format!("{TOKEN} \n"), "a space", 76),
        (format!("\n{TOKEN}"), "a line break", 1),
        (format!("\u{feff}{TOKEN}"), "a byte order mark (U+FEFF)", 1),
        (format!("PAT={TOKEN}\"\n"), "`\"`", 80),
    ] {
        write(&path, bytes.as_bytes(), 0o600);
        let said = format!("{place} holds {character} at position {position}, which no token has");
        assert_eq!(refusal(&path), said);
    }
    for bytes in [&b""[..], b"\n", b"\r\n"] {
        write(&path, bytes, 0o600);
        assert_eq!(refusal(&path), format!("{place} is empty"));
    }
    write(&path, &vec![b'a'; 1 << 20], 0o600);
    assert_eq!(refusal(&path), format!("{place} holds more than 8192 bytes, which is no token"));
}

#[cfg(unix)]
#[test]
fn a_file_that_others_may_read_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pat");
    for good in [0o600, 0o400, 0o700] {
        write(&path, TOKEN.as_bytes(), 0o600);
        write(&path, TOKEN.as_bytes(), good);
        assert!(Credential::from_file(&path).is_ok(), "{good:o}");
        fs::remove_file(&path).unwrap();
    }
    for bad in [0o644, 0o640, 0o604, 0o620, 0o602, 0o610] {
        write(&path, TOKEN.as_bytes(), bad);
        let said = format!(
            "{} can be read by others (mode {bad:04o}); `chmod 600` it, and replace the token if \
             others did",
            path.display()
        );
        assert_eq!(refusal(&path), said);
    }
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    assert_eq!(refusal(&missing), format!("cannot read {}", missing.display()));
    assert_eq!(refusal(folder.path()), format!("{} is not a file", folder.path().display()));
    assert_eq!(refusal(Path::new("/dev/zero")), "/dev/zero is not a file");
    // A link is what it points to.
    let path = folder.path().join("pat");
    write(&path, TOKEN.as_bytes(), 0o600);
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(Credential::from_file(&link).is_ok());
}

#[test]
fn variables_are_read_as_they_are() {
    let error = Credential::from_env("HALLPASS_TEST_NOT_SET").unwrap_err();
    assert_eq!(error.to_string(), "HALLPASS_TEST_NOT_SET is not set");
    // Cargo sets this one for every test, and it has spaces.
    let error = Credential::from_env("CARGO_PKG_DESCRIPTION").unwrap_err();
    let said = "CARGO_PKG_DESCRIPTION holds a space at position 9, which no token has";
    assert_eq!(error.to_string(), said);
    assert_eq!(Credential::from_env("CARGO_PKG_NAME").unwrap().expose(), "hallpass");
}

#[cfg(unix)]
#[test]
fn a_new_file_is_for_its_owner_and_nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pat");
    let file = NewFile::create(&path).unwrap();
    assert_eq!(mode(&path), 0o600);
    file.write(TOKEN).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{TOKEN}\n"));
    assert_eq!(Credential::from_file(&path).unwrap().expose(), TOKEN);

    let said = format!("{} exists already and is left as it is", path.display());
    assert_eq!(NewFile::create(&path).unwrap_err().to_string(), said);
    let dangling = folder.path().join("dangling");
    std::os::unix::fs::symlink(folder.path().join("nowhere"), &dangling).unwrap();
    let said = format!("{} exists already and is left as it is", dangling.display());
    assert_eq!(NewFile::create(&dangling).unwrap_err().to_string(), said);
    let deep = folder.path().join("no/such/folder");
    let said = format!("cannot write {}", deep.display());
    assert_eq!(NewFile::create(&deep).unwrap_err().to_string(), said);
}

#[cfg(unix)]
#[test]
fn a_file_is_replaced_in_one_step_and_only_when_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pat");
    write(&path, b"old\n", 0o644);
    let file = NewFile::replace(&path).unwrap();
    assert_eq!(file.path(), path);
    assert_eq!(fs::read_to_string(&path).unwrap(), "old\n");
    drop(file);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    NewFile::replace(&path).unwrap().write(TOKEN).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{TOKEN}\n"));
    assert_eq!(mode(&path), 0o600);
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let said = format!("{} is not a file", link.display());
    assert_eq!(NewFile::replace(&link).unwrap_err().to_string(), said);
    // What was reserved and not written is gone.
    let unused = folder.path().join("unused");
    drop(NewFile::create(&unused).unwrap());
    assert!(!unused.exists());
}
