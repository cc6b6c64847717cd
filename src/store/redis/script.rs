//! The scripts.

use std::sync::LazyLock;

use redis::Cmd;

/// A Lua script and the hash under which a server keeps it.
#[derive(Debug)]
pub(super) struct Script {
    text: &'static str,
    hash: String,
}

macro_rules! script {
    ($($part:literal),+) => {
        LazyLock::new(|| Script::new(concat!(include_str!("lua/record.lua"), $("\n", include_str!($part)),+)))
    };
}

pub(super) static INSERT: LazyLock<Script> = script!("lua/insert.lua");
pub(super) static UPDATE: LazyLock<Script> = script!("lua/update.lua");
pub(super) static TOUCH: LazyLock<Script> = script!("lua/touch.lua");
pub(super) static PICK: LazyLock<Script> = script!("lua/filter.lua", "lua/pick.lua");
pub(super) static PAGE: LazyLock<Script> = script!("lua/filter.lua", "lua/page.lua");
pub(super) static REVOKE: LazyLock<Script> = script!("lua/filter.lua", "lua/revoke.lua");
pub(super) static ENDED: LazyLock<Script> = script!("lua/filter.lua", "lua/ended.lua");
pub(super) static REMOVE: LazyLock<Script> = script!("lua/remove.lua");
pub(super) static BEAT: LazyLock<Script> = script!("lua/beat.lua");

impl Script {
    fn new(text: &'static str) -> Self {
        Self { text, hash: redis::Script::new(text).get_hash().to_owned() }
    }

    /// The command that runs the script if the server knows it.
    pub(super) fn by_hash(&self, shard: &str, arguments: &[&[u8]]) -> Cmd {
        Self::command("EVALSHA", &self.hash, shard, arguments)
    }

    /// The command that tells the server the script and runs it.
    pub(super) fn by_text(&self, shard: &str, arguments: &[&[u8]]) -> Cmd {
        Self::command("EVAL", self.text, shard, arguments)
    }

    fn command(name: &str, script: &str, shard: &str, arguments: &[&[u8]]) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(1).arg(shard);
        for argument in arguments {
            command.arg(*argument);
        }
        command
    }
}
