//! Secrets: read from files and from the environment, never from the configuration itself, and never shown.

use std::{fmt, fs::File, io::Read, os::unix::fs::PermissionsExt, path::Path};

use super::Environment;

/// Octets of the shortest secret: one that is made by chance, as it must be, then cannot be guessed.
pub const SECRET_OCTETS_MIN: usize = 32;
/// Octets of the longest secret: it travels in a header of each call.
pub const SECRET_OCTETS_MAX: usize = 4_096;

/// What somebody proves himself by.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The content of a file, without the line's end.
    ///
    /// # Errors
    /// It cannot be read, everyone may read it, or what it holds is no secret; never what it holds.
    pub fn from_file(path: &Path) -> Result<Self, String> {
        let place = path.display();
        let unreadable = |error: std::io::Error| format!("{place}: cannot be read: {error}");
        let file = File::open(path).map_err(unreadable)?;
        let mode = file.metadata().map_err(unreadable)?.permissions().mode();
        if mode & 0o007 != 0 {
            let mode = mode & 0o777;
            return Err(format!("{place}: everyone on this machine may open it (mode {mode:03o}): chmod o= {place}"));
        }
        let mut text = Vec::new();
        // One octet too many is enough to see that there are too many; two are the line's end.
        file.take(SECRET_OCTETS_MAX as u64 + 3).read_to_end(&mut text).map_err(unreadable)?;
        let text = String::from_utf8(text).map_err(|_| format!("{place}: is not text"))?;
        Self::new(&text).map_err(|why| format!("{place}: {why}"))
    }

    /// The value of a variable.
    ///
    /// # Errors
    /// There is none, or it is no secret; never its value.
    pub fn from_variable(name: &str, environment: &dyn Environment) -> Result<Self, String> {
        let found = environment.variables().into_iter().find(|(known, _)| known == name);
        let (_, value) = found.ok_or_else(|| format!("the variable {name} is not set"))?;
        let value = value.into_string().map_err(|_| format!("the variable {name} is not text"))?;
        Self::new(&value).map_err(|why| format!("the variable {name} {why}"))
    }

    fn new(text: &str) -> Result<Self, String> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.len() < SECRET_OCTETS_MIN {
            return Err(format!(
                "holds {} octets, must be at least {SECRET_OCTETS_MIN}: make one with `openssl rand -hex 32`",
                text.len()
            ));
        }
        if text.len() > SECRET_OCTETS_MAX {
            return Err(format!("holds more than {SECRET_OCTETS_MAX} octets"));
        }
        // It goes into a header as it is.
        if !text.bytes().all(|octet| octet.is_ascii_graphic()) {
            return Err("holds what is neither letter, digit nor sign: one line without spaces is right".into());
        }
        Ok(Self(text.to_owned()))
    }

    /// The secret itself, for whoever must send it or compare with it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Not for eyes.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const GOOD: &str = "0123456789abcdef0123456789ABCDEF";

    fn file(text: &[u8], mode: u32) -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (directory, path)
    }

    #[test]
    fn a_file_that_others_cannot_read_holds_one() {
        for text in [GOOD.to_owned(), format!("{GOOD}\n"), format!("{GOOD}\r\n")] {
            for mode in [0o600, 0o400, 0o440, 0o640] {
                let (_directory, path) = file(text.as_bytes(), mode);
                assert_eq!(Secret::from_file(&path).unwrap().expose(), GOOD);
            }
        }
        let longest = "x".repeat(SECRET_OCTETS_MAX);
        let (_directory, path) = file(format!("{longest}\r\n").as_bytes(), 0o600);
        assert_eq!(Secret::from_file(&path).unwrap().expose(), longest);
    }

    #[test]
    fn what_is_none_is_told_without_its_content() {
        let long = "x".repeat(SECRET_OCTETS_MAX + 1);
        for (text, mode, why) in [
            (GOOD, 0o604, "everyone on this machine may open it (mode 604): chmod o= "),
            (GOOD, 0o602, "everyone on this machine may open it (mode 602)"),
            (&GOOD[1..], 0o600, "holds 31 octets, must be at least 32: make one with `openssl rand -hex 32`"),
            ("", 0o600, "holds 0 octets"),
            (&long, 0o600, "holds more than 4096 octets"),
            ("0123456789abcdef 123456789ABCDEF", 0o600, "neither letter, digit nor sign"),
            ("0123456789abcdef\n0123456789ABCDEF", 0o600, "neither letter, digit nor sign"),
            ("0123456789abcdef0123456789ABCDEF\n\n", 0o600, "neither letter, digit nor sign"),
            ("0123456789abcdef0123456789ABCDEÄ", 0o600, "neither letter, digit nor sign"),
        ] {
            let (_directory, path) = file(text.as_bytes(), mode);
            let told = Secret::from_file(&path).unwrap_err();
            assert!(told.starts_with(path.to_str().unwrap()) && told.contains(why), "{told}");
            assert!(!told.contains("456789"), "{told}");
        }
        let (_directory, path) = file(b"\xff\xfe0123456789abcdef0123456789ABCDEF", 0o600);
        assert!(Secret::from_file(&path).unwrap_err().ends_with("is not text"));
        assert!(Secret::from_file(&path.with_extension("none")).unwrap_err().contains("cannot be read: "));
    }

    #[test]
    fn a_variable_holds_one() {
        let variables = [("CRM_TOKEN", GOOD), ("SHORT", "short")];
        assert_eq!(Secret::from_variable("CRM_TOKEN", &variables).unwrap().expose(), GOOD);
        assert_eq!(Secret::from_variable("CRM", &variables).unwrap_err(), "the variable CRM is not set");
        let short = Secret::from_variable("SHORT", &variables).unwrap_err();
        assert!(short.starts_with("the variable SHORT holds 5 octets, must be at least 32"), "{short}");
    }

    #[test]
    fn nothing_prints_it() {
        let secret = Secret::new(GOOD).unwrap();
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)), "Secret Some(\n    Secret,\n)");
    }
}
