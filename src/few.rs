//! Lists that nearly always have one entry.

use std::{
    fmt, iter, mem,
    ops::{Deref, DerefMut},
    option, slice, vec,
};

/// A list whose only entry stands in place, without an allocation; of several it has a vector. It reads as a slice.
#[derive(Clone)]
pub struct Few<T>(Entries<T>);

#[derive(Clone)]
enum Entries<T> {
    None,
    One(T),
    Several(Vec<T>),
}

impl<T> Few<T> {
    /// An empty list.
    pub const fn new() -> Self {
        Self(Entries::None)
    }

    /// Adds an entry at the end.
    #[inline]
    pub fn push(&mut self, entry: T) {
        match &mut self.0 {
            Entries::None => self.0 = Entries::One(entry),
            Entries::Several(entries) => entries.push(entry),
            Entries::One(_) => self.push_another(entry),
        }
    }

    #[cold]
    fn push_another(&mut self, entry: T) {
        let first = mem::take(self);
        self.0 = Entries::Several(first.into_iter().chain([entry]).collect());
    }

    /// Drops the entries that are not to be kept.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        match &mut self.0 {
            Entries::One(entry) if !keep(entry) => self.0 = Entries::None,
            Entries::None | Entries::One(_) => {}
            Entries::Several(entries) => entries.retain(keep),
        }
    }

    /// Gives back what several have room for beyond their number.
    pub fn shrink_to_fit(&mut self) {
        if let Entries::Several(entries) = &mut self.0 {
            entries.shrink_to_fit();
        }
    }

    /// Drops all entries.
    pub fn clear(&mut self) {
        self.0 = Entries::None;
    }
}

impl<T> Default for Few<T> {
    #[inline]
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Deref for Few<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        match &self.0 {
            Entries::None => &[],
            Entries::One(entry) => slice::from_ref(entry),
            Entries::Several(entries) => entries,
        }
    }
}

impl<T> DerefMut for Few<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        match &mut self.0 {
            Entries::None => &mut [],
            Entries::One(entry) => slice::from_mut(entry),
            Entries::Several(entries) => entries,
        }
    }
}

impl<T: PartialEq> PartialEq for Few<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for Few<T> {}

impl<T: fmt::Debug> fmt::Debug for Few<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T> From<Vec<T>> for Few<T> {
    fn from(entries: Vec<T>) -> Self {
        if entries.len() > 1 { Self(Entries::Several(entries)) } else { entries.into_iter().collect() }
    }
}

impl<T> Extend<T> for Few<T> {
    #[inline]
    fn extend<I: IntoIterator<Item = T>>(&mut self, entries: I) {
        entries.into_iter().for_each(|entry| self.push(entry));
    }
}

impl<T> FromIterator<T> for Few<T> {
    #[inline]
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
        let mut few = Self::new();
        few.extend(entries);
        few
    }
}

impl<T> IntoIterator for Few<T> {
    type Item = T;
    type IntoIter = iter::Chain<option::IntoIter<T>, vec::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        let (one, several) = match self.0 {
            Entries::None => (None, Vec::new()),
            Entries::One(entry) => (Some(entry), Vec::new()),
            Entries::Several(entries) => (None, entries),
        };
        one.into_iter().chain(several)
    }
}

impl<'a, T> IntoIterator for &'a Few<T> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    #[inline]
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T> IntoIterator for &'a mut Few<T> {
    type Item = &'a mut T;
    type IntoIter = slice::IterMut<'a, T>;

    #[inline]
    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_vector_however_many_there_are() {
        for count in 0..4 {
            let (mut few, mut all) = (Few::new(), Vec::new());
            for entry in 0..count {
                few.push(entry);
                all.push(entry);
                assert_eq!(*few, *all);
                few.iter_mut().chain(&mut all).for_each(|entry| *entry += 10);
            }
            assert_eq!((few.clone(), few.clone().into_iter().collect::<Vec<_>>()), (all.clone().into(), all.clone()));
            assert_ne!(few, (0..=count).collect());
            // One that is left of several is the same as one.
            let keep = |entry: &i32| *entry == 10;
            few.retain(keep);
            all.retain(keep);
            assert_eq!(few, Few::from(all));
            few.clear();
            assert_eq!((few.len(), few), (0, Few::new()));
        }
    }

    #[test]
    fn it_takes_no_more_room_than_a_vector() {
        assert_eq!(size_of::<Few<crate::charging::Draw>>(), size_of::<Vec<u8>>());
    }
}
