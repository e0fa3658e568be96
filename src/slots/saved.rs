//! One value that an undone attempt leaves as it was, apart from all arenas.

use super::attempt::Attempt;

/// Its first change in an attempt saves it, so an attempt that leaves it alone costs nothing.
pub struct Saved<T> {
    value: T,
    before: T,
    attempt: Attempt,
    /// The attempt in which it was saved last.
    number: u64,
}

impl<T: Copy> Saved<T> {
    pub fn new(attempt: &Attempt, value: T) -> Self {
        Saved { value, before: value, attempt: attempt.clone(), number: 0 }
    }

    pub fn get(&self) -> &T {
        &self.value
    }

    /// The value for changing in an attempt.
    pub fn modify(&mut self) -> &mut T {
        self.attempt.tick();
        let number = self.attempt.number();
        debug_assert!(number != 0, "a change outside attempts that might be half done");
        if self.number != number {
            self.before = self.value;
            self.number = number;
        }
        &mut self.value
    }

    /// Stopped at any point and called again, it does the rest.
    pub fn rollback(&mut self) {
        if self.number == self.attempt.number() {
            self.value = self.before;
        }
    }
}
