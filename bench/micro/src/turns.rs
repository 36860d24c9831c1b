//! Inputs, one after the other.

/// Things that take turns, so that no branch and no cache learns a single one by heart.
pub struct Turns<T> {
    things: Vec<T>,
    next: usize,
}

impl<T> Turns<T> {
    /// In this order, over and over.
    ///
    /// # Panics
    /// Without a thing.
    #[must_use]
    pub fn new(things: Vec<T>) -> Self {
        assert!(!things.is_empty(), "nothing cannot take turns");
        Self { things, next: 0 }
    }

    /// Whose turn it is.
    pub fn turn(&mut self) -> &T {
        let thing = self.next;
        self.next = if thing + 1 == self.things.len() { 0 } else { thing + 1 };
        &self.things[thing]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_come_again() {
        let mut turns = Turns::new(vec![1, 2, 3]);
        assert_eq!([(); 5].map(|()| *turns.turn()), [1, 2, 3, 1, 2]);
    }
}
