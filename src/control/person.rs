//! Who gives an order, by the word of the kernel: at the other end of the control socket, or in this process.

use std::fs;
use std::os::unix::fs::MetadataExt;

/// Where the system keeps the names of its users.
const USERS: &str = "/etc/passwd";

/// The name of a user, or its number where it has none here.
pub(super) fn user_name(uid: u32) -> String {
    let users = fs::read_to_string(USERS).unwrap_or_default();
    name_in(&users, uid).unwrap_or_else(|| format!("uid {uid}"))
}

/// Who runs this process, and the name it goes by where it gave one.
pub fn own_name(name: Option<&str>) -> String {
    let user = fs::metadata("/proc/self").map_or_else(|_| "unknown".to_owned(), |process| user_name(process.uid()));
    who(&user, name)
}

/// Who gave an order: the user, and the name it goes by where it gave one (several people may share a user).
pub(super) fn who(user: &str, name: Option<&str>) -> String {
    name.map_or_else(|| user.to_owned(), |name| format!("{user} as {name}"))
}

fn name_in(users: &str, uid: u32) -> Option<String> {
    let number = uid.to_string();
    let lines = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let is_it = |fields: &Vec<&str>| fields.get(2).is_some_and(|field| **field == number);
    lines.into_iter().find(is_it).and_then(|fields| fields.first().map(|name| (*name).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_go_by_their_name() {
        let users = "root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!(name_in(users, 1000), Some("ada".to_owned()));
        assert_eq!(name_in(users, 100), None);
        assert_eq!(who("root", Some("ada")), "root as ada");
    }
}
