//! The clock: certificates begin and end by it.

use crate::finding::Finding;

pub(crate) fn synchronised() -> Finding {
    match gridway_kernel::clock() {
        Ok(clock) => judge(clock.synchronised, clock.max_error_us),
        Err(error) => Finding::warning(
            "clock.synchronised",
            "",
            format!("the kernel does not say whether its clock is kept right: {error}"),
            "timedatectl status",
        ),
    }
}

fn judge(synchronised: bool, max_error_us: i64) -> Finding {
    const ID: &str = "clock.synchronised";
    if synchronised {
        let found = format!("kept right, off by at most {} ms", max_error_us / 1000);
        return Finding::ok(ID, "", found);
    }
    Finding::warning(
        ID,
        "",
        "nothing keeps the clock right: with a wrong time certificates and revocation lists are refused",
        "timedatectl set-ntp true (systemd-timesyncd), or install chrony",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Status;

    #[test]
    fn a_clock_that_nothing_keeps_right_is_warned_of() {
        assert_eq!(judge(false, 16_000_000).status, Status::Warning);
        assert_eq!(judge(true, 20_000).found, "kept right, off by at most 20 ms");
    }
}
