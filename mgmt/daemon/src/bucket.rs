//! How many requests each client may make.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Clients that are remembered; beyond it those that have been still are forgotten.
const CLIENTS: usize = 1024;

/// A token bucket for each client.
#[derive(Debug)]
pub(crate) struct Buckets {
    per_second: f64,
    most: f64,
    clients: Mutex<HashMap<String, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Buckets {
    /// Buckets that fill at `per_second` and hold `most`.
    pub(crate) fn new(per_second: f64, most: f64) -> Self {
        Self { per_second, most, clients: Mutex::default() }
    }

    /// Takes a token of `client`; false if there is none.
    pub(crate) fn take(&self, client: &str, now: Instant) -> bool {
        let most = self.most;
        let level = |bucket: &Bucket| {
            let filled = now.saturating_duration_since(bucket.at).as_secs_f64() * self.per_second;
            (bucket.tokens + filled).min(most)
        };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if !clients.contains_key(client) {
            if clients.len() >= CLIENTS {
                clients.retain(|_, bucket| level(bucket) < most);
            }
            if clients.len() >= CLIENTS {
                return false;
            }
            clients.insert(client.to_owned(), Bucket { tokens: most, at: now });
        }
        let bucket = clients.get_mut(client).expect("it was inserted if it was missing");
        *bucket = Bucket { tokens: level(bucket), at: now };
        let granted = bucket.tokens >= 1.0;
        if granted {
            bucket.tokens -= 1.0;
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_is_what_a_bucket_holds_and_clients_do_not_share() {
        let (buckets, start) = (Buckets::new(5.0, 10.0), Instant::now());
        let taken = (0..20).filter(|_| buckets.take("alice", start)).count();
        assert_eq!(taken, 10);
        assert!(buckets.take("bob", start));
        let later = start + Duration::from_secs(1);
        assert_eq!((0..20).filter(|_| buckets.take("alice", later)).count(), 5);
    }

    #[test]
    fn clients_that_were_still_make_room() {
        let (buckets, start) = (Buckets::new(1.0, 2.0), Instant::now());
        for client in 0..CLIENTS {
            assert!(buckets.take(&client.to_string(), start));
        }
        assert!(!buckets.take("one more", start));
        assert!(buckets.take("one more", start + Duration::from_secs(3)));
    }
}
