//! Dictionaries of byte strings in ascending order, each by its number.
//!
//! Plain: where each begins, and all bytes one after the other. Front coded: blocks of [`BLOCK`]
//! strings; within a block each is what it shares with the one before it, and the rest. Long common
//! beginnings (paths, URLs) are stored once for each block.

use std::ops::Range;

use crate::container::{Container, Part, part};
use crate::error::OpenError;
use crate::section::Section;

/// Strings of a block.
const BLOCK: usize = 16;

/// Where strings or blocks begin.
const STARTS: [u8; 8] = *b"tstarts ";
/// The bytes of the strings.
const BYTES: [u8; 8] = *b"tbytes  ";

/// A dictionary.
pub(crate) struct Terms {
    starts: Section<u64>,
    bytes: Section<u8>,
    /// Front coded, with so many strings.
    coded: Option<usize>,
}

/// A dictionary to be written; strings arrive in ascending order.
#[derive(Debug)]
pub(crate) struct TermsBuilder {
    starts: Vec<u64>,
    bytes: Vec<u8>,
    coded: bool,
    count: usize,
    last: Vec<u8>,
}

impl TermsBuilder {
    pub(crate) fn new(coded: bool) -> Self {
        Self { starts: Vec::new(), bytes: Vec::new(), coded, count: 0, last: Vec::new() }
    }

    pub(crate) fn push(&mut self, term: &[u8]) {
        if !self.coded {
            self.starts.push(self.bytes.len() as u64);
            self.bytes.extend(term);
            return;
        }
        let first = self.count.is_multiple_of(BLOCK);
        if first {
            self.starts.push(self.bytes.len() as u64);
        }
        let shared = self.last.iter().zip(term).take_while(|(a, b)| a == b).count();
        let shared = if first { 0 } else { shared };
        let rest = term.get(shared..).unwrap_or_default();
        write_varint(&mut self.bytes, shared);
        write_varint(&mut self.bytes, rest.len());
        self.bytes.extend(rest);
        self.last.clear();
        self.last.extend(term);
        self.count += 1;
    }

    pub(crate) fn parts(mut self) -> [Part; 2] {
        if !self.coded {
            self.starts.push(self.bytes.len() as u64);
        }
        [part(STARTS, &self.starts), (BYTES, self.bytes)]
    }
}

impl Terms {
    /// Reads a dictionary of `count` strings and checks all of it.
    pub(crate) fn open(
        container: &Container,
        count: usize,
        coded: bool,
    ) -> Result<Self, OpenError> {
        let blocks = if coded { count.div_ceil(BLOCK) } else { count.saturating_add(1) };
        let starts = container.exactly(STARTS, blocks)?;
        let terms =
            Self { starts, bytes: container.section(BYTES)?, coded: coded.then_some(count) };
        let view = terms.view();
        let mut last: Option<Vec<u8>> = None;
        let mut seen = 0;
        view.for_each(0..count, |_, term| {
            let ascends = last.as_deref().is_none_or(|last| last < term);
            let buffer = last.get_or_insert_default();
            buffer.clear();
            buffer.extend(term);
            seen += usize::from(ascends);
            ascends
        });
        if seen != count {
            return Err(OpenError::malformed(format!("string {seen} of {count} is out of order")));
        }
        Ok(terms)
    }

    pub(crate) fn view(&self) -> View<'_> {
        View { starts: self.starts.as_slice(), bytes: self.bytes.as_slice(), coded: self.coded }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.starts.bytes() + self.bytes.bytes()
    }
}

/// A dictionary while it is being asked.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    starts: &'a [u64],
    bytes: &'a [u8],
    coded: Option<usize>,
}

impl<'a> View<'a> {
    pub(crate) fn len(self) -> usize {
        self.coded.unwrap_or_else(|| self.starts.len().saturating_sub(1))
    }

    /// The number of the first string that is not less than `term`, and whether it is `term`.
    pub(crate) fn find(self, term: &[u8]) -> (usize, bool) {
        if self.coded.is_none() {
            let at = partition(self.len(), |index| self.plain(index) < term);
            return (at, at < self.len() && self.plain(at) == term);
        }
        let block = partition(self.starts.len(), |block| self.head(block) <= term);
        let from = block.saturating_sub(1) * BLOCK;
        let mut found = (self.len().min(from + BLOCK), false);
        self.for_each(from..found.0, |index, other| {
            if other < term {
                return true;
            }
            found = (index, other == term);
            false
        });
        found
    }

    /// The numbers of the strings that begin with `prefix`.
    pub(crate) fn with_prefix(self, prefix: &[u8]) -> Range<usize> {
        let (low, _) = self.find(prefix);
        let high = match successor(prefix) {
            Some(next) => self.find(&next).0,
            None => self.len(),
        };
        low..high.max(low)
    }

    /// Calls `visit` with the strings in `range`, until it says false.
    pub(crate) fn for_each(self, range: Range<usize>, mut visit: impl FnMut(usize, &[u8]) -> bool) {
        if self.coded.is_none() {
            for index in range {
                if !visit(index, self.plain(index)) {
                    return;
                }
            }
            return;
        }
        let mut term = Vec::new();
        let mut index = range.start / BLOCK * BLOCK;
        let mut rest: &[u8] = &[];
        while index < range.end {
            if index.is_multiple_of(BLOCK) {
                term.clear();
                rest = self.from(index / BLOCK);
            }
            let Some(after) = next_term(rest, &mut term) else {
                return;
            };
            rest = after;
            if index >= range.start && !visit(index, &term) {
                return;
            }
            index += 1;
        }
    }

    fn plain(self, index: usize) -> &'a [u8] {
        let at =
            |index: usize| self.starts.get(index).and_then(|start| usize::try_from(*start).ok());
        match (at(index), at(index + 1)) {
            (Some(start), Some(end)) => self.bytes.get(start..end).unwrap_or_default(),
            _ => &[],
        }
    }

    /// The bytes from block `block` on.
    fn from(self, block: usize) -> &'a [u8] {
        let start = self.starts.get(block).and_then(|start| usize::try_from(*start).ok());
        start.and_then(|start| self.bytes.get(start..)).unwrap_or_default()
    }

    /// The first string of block `block`, which shares nothing.
    fn head(self, block: usize) -> &'a [u8] {
        let read = || {
            let (_, rest) = read_varint(self.from(block))?;
            let (length, rest) = read_varint(rest)?;
            rest.get(..length)
        };
        read().unwrap_or_default()
    }
}

/// The least string that is greater than every string that begins with `prefix`, if there is one.
pub(crate) fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut next = prefix.to_vec();
    while let Some(last) = next.pop() {
        if let Some(more) = last.checked_add(1) {
            next.push(more);
            return Some(next);
        }
    }
    None
}

/// The first of `0..len` for which `below` is false; it must be true up to there.
pub(crate) fn partition(len: usize, below: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low + (high - low) / 2;
        if below(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// Makes `term`, the string before, the one that `bytes` begins with; the bytes after it.
fn next_term<'a>(bytes: &'a [u8], term: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (shared, rest) = read_varint(bytes)?;
    let (length, rest) = read_varint(rest)?;
    if shared > term.len() || length > rest.len() {
        return None;
    }
    let (new, rest) = rest.split_at(length);
    term.truncate(shared);
    term.extend(new);
    Some(rest)
}

fn write_varint(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        out.push(if value == 0 { low & 0x7f } else { low | 0x80 });
        if value == 0 {
            return;
        }
    }
}

fn read_varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0usize;
    for (index, byte) in bytes.iter().enumerate().take(9) {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(index + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use milvus_types::FieldId;
    use proptest::prelude::*;

    use super::*;
    use crate::container::{Header, write};

    fn opened(terms: &BTreeSet<Vec<u8>>, coded: bool) -> Terms {
        let mut builder = TermsBuilder::new(coded);
        for term in terms {
            builder.push(term);
        }
        let header =
            Header { index_type: "TRIE".to_owned(), field: FieldId(1), rows: 0, params: vec![] };
        let mut bytes = Vec::new();
        write(&mut bytes, &header, &builder.parts()).unwrap();
        Terms::open(&Container::open(Arc::new(bytes)).unwrap(), terms.len(), coded).unwrap()
    }

    proptest! {
        #[test]
        fn both_forms_are_the_sorted_set(
            terms in prop::collection::btree_set("[ab\u{ff}]{0,6}", 0..60),
            asked in "[abc\u{ff}]{0,6}",
        ) {
            let terms: BTreeSet<Vec<u8>> = terms.into_iter().map(String::into_bytes).collect();
            let asked = asked.as_bytes();
            for coded in [false, true] {
                let dictionary = opened(&terms, coded);
                let view = dictionary.view();
                let below = terms.iter().filter(|term| term.as_slice() < asked).count();
                prop_assert_eq!(view.find(asked), (below, terms.contains(asked)));
                let with_prefix = terms.iter().filter(|term| term.starts_with(asked)).count();
                let range = view.with_prefix(asked);
                prop_assert_eq!(range.len(), with_prefix);
                let mut all = Vec::new();
                view.for_each(range.clone(), |index, term| {
                    all.push((index, term.to_vec()));
                    true
                });
                let want: Vec<_> =
                    terms.iter().cloned().enumerate().skip(range.start).take(range.len()).collect();
                prop_assert_eq!(all, want);
            }
        }
    }
}
