//! The scripts, each in one place, and their keys.

use std::sync::LazyLock;

use crate::name::QueueName;

/// A Lua script and its SHA-1.
pub(crate) struct Script(LazyLock<redis::Script>, &'static str);

impl Script {
    pub(crate) fn source(&self) -> &str {
        self.1
    }

    pub(crate) fn hash(&self) -> &str {
        self.0.get_hash()
    }
}

macro_rules! script {
    // The parts in brackets make up a function, `make_rare`, that the last ones call.
    ($(#[$doc:meta])* $name:ident = $($part:literal)+ [$($rare:literal)+] $($last:literal)+) => {
        script!(@ $(#[$doc])* $name = $(include_str!(concat!("lua/", $part, ".lua"))),+,
            "local function make_rare()\n",
            $(include_str!(concat!("lua/", $rare, ".lua"))),+,
            "end\n",
            $(include_str!(concat!("lua/", $last, ".lua"))),+);
    };
    ($(#[$doc:meta])* $name:ident = $($part:literal)+) => {
        script!(@ $(#[$doc])* $name = $(include_str!(concat!("lua/", $part, ".lua"))),+);
    };
    (@ $(#[$doc:meta])* $name:ident = $($text:expr),+) => {
        $(#[$doc])*
        pub(crate) static $name: Script = {
            const SOURCE: &str = concat!($($text),+);
            Script(LazyLock::new(|| redis::Script::new(SOURCE)), SOURCE)
        };
    };
}

script!(
    /// Pushes jobs.
    PUSH = "prelude" "record" "place" "push"
);
script!(
    /// Settles, takes over, moves and claims: a worker's turn.
    STEP = "prelude" "tally" "turn" ["record" "place" "ended" "rare"] "step"
);
script!(
    /// Extends leases.
    EXTEND = "prelude" "record" "extend"
);
script!(
    /// Finds the running jobs of one worker.
    RECOVER = "prelude" "record" "recover"
);
script!(
    /// Cancels a job.
    CANCEL = "prelude" "tally" "record" "place" "ended" "cancel"
);
script!(
    /// Runs a failed job again.
    RETRY = "prelude" "record" "place" "retry"
);
script!(
    /// Moves a delayed job to now.
    PROMOTE = "prelude" "record" "place" "promote"
);
script!(
    /// Removes one job.
    REMOVE = "prelude" "record" "place" "remove"
);
script!(
    /// Removes the jobs of a tenant or of a key.
    PURGE = "prelude" "record" "place" "purge"
);
script!(
    /// Sets what a tenant or the queue may take.
    LIMITS = "prelude" "record" "place" "limits"
);
script!(
    /// Looks at a job and asks for word of its end.
    WATCH = "prelude" "record" "watch"
);
script!(
    /// Repairs, and drops what is retained too long.
    HEAL = "prelude" "record" "place" "heal"
);

/// The keys of one queue. All have the hash tag `{prefix:queue}`, so that a
/// cluster keeps them on one shard.
#[derive(Debug)]
pub(crate) struct Keys {
    /// What the keys per tenant begin with.
    pub(crate) base: String,
    /// Those that scripts declare, in the order of `lua/prelude.lua`.
    pub(crate) fixed: [String; 13],
}

impl Keys {
    pub(crate) fn new(prefix: &str, queue: &QueueName) -> Self {
        let base = format!("{{{}}}:", Self::tag(prefix, queue));
        let fixed = [
            "jobs", "ring", "delayed", "leases", "wake", "ok", "ko", "aged", "active", "limits",
            "rates", "parked", "events",
        ]
        .map(|name| format!("{base}{name}"));
        Self { base, fixed }
    }

    /// What the workers of the queue go by; gone a lease after the last of them.
    pub(crate) fn settings(&self) -> String {
        format!("{}settings", self.base)
    }

    /// The part of every key that decides where a cluster keeps it.
    pub(crate) fn tag(prefix: &str, queue: &QueueName) -> String {
        format!("{prefix}:{queue}")
    }

    pub(crate) fn jobs(&self) -> &str {
        &self.fixed[0]
    }

    pub(crate) fn delayed(&self) -> &str {
        &self.fixed[2]
    }

    pub(crate) fn leases(&self) -> &str {
        &self.fixed[3]
    }

    pub(crate) fn wake(&self) -> &str {
        &self.fixed[4]
    }

    pub(crate) fn ok(&self) -> &str {
        &self.fixed[5]
    }

    pub(crate) fn ko(&self) -> &str {
        &self.fixed[6]
    }

    pub(crate) fn running(&self) -> &str {
        &self.fixed[8]
    }

    pub(crate) fn limits(&self) -> &str {
        &self.fixed[9]
    }

    pub(crate) fn events(&self) -> &str {
        &self.fixed[12]
    }

    /// The set of a tenant: `w` waiting, `d` delayed; or the list: `c` completed, `f` failed.
    pub(crate) fn of(&self, set: char, tenant: &str) -> String {
        format!("{}{set}:{tenant}", self.base)
    }

    /// Where the ends of watched jobs are published.
    pub(crate) fn ended(&self) -> String {
        format!("{}ended", self.base)
    }

    /// Where cancellations of running jobs are published.
    pub(crate) fn cancel(&self) -> String {
        format!("{}cancel", self.base)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const ALL: [&Script; 12] = [
        &PUSH, &STEP, &EXTEND, &RECOVER, &CANCEL, &RETRY, &PROMOTE, &REMOVE, &PURGE, &LIMITS,
        &WATCH, &HEAL,
    ];

    /// Of Redis 6.2, with the options and answers that the scripts use.
    const KNOWN: &[&str] = &[
        "DEL",
        "EXISTS",
        "HDEL",
        "HEXISTS",
        "HGET",
        "HINCRBY",
        "HMGET",
        "HSCAN",
        "HSET",
        "LINDEX",
        "LPUSH",
        "LRANGE",
        "LREM",
        "PUBLISH",
        "RPOP",
        "TIME",
        "XADD",
        "ZADD",
        "ZCARD",
        "ZMSCORE",
        "ZPOPMIN",
        "ZRANGE",
        "ZRANGEBYSCORE",
        "ZREM",
        "ZREMRANGEBYRANK",
        "ZSCORE",
    ];

    #[test]
    fn no_script_calls_what_redis_6_2_does_not_know() {
        let calls = ALL.iter().flat_map(|script| {
            let calls = script.source().split("call('").skip(1);
            calls.filter_map(|rest| rest.split('\'').next())
        });
        let calls: BTreeSet<&str> = calls.collect();

        let unknown: Vec<&&str> = calls.iter().filter(|it| !KNOWN.contains(it)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
        // Nothing else reaches Redis: no pcall, no call by another name.
        let hidden = |script: &&Script| script.source().matches("redis.call").count() != 1;
        assert!(!ALL.iter().any(hidden));
    }
}
