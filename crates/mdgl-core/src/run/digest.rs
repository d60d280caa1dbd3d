//! Fingerprints of the inputs that processes computing one batch together must share.

use std::fmt::Debug;

use crate::batch::{EncodedBatch, Input, Part, Targets};

/// FNV-1a by words of eight bytes, rotated after each so that high bits do not cancel: any one changed word changes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Digest(u64);

impl Digest {
    pub fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(29);
    }

    pub fn of_bytes(bytes: &[u8]) -> u64 {
        // Four side by side, since each word waits for the one before it.
        let mut digests = [Self::new(); 4];
        let (groups, rest) = bytes.as_chunks::<32>();
        for group in groups {
            let (words, _) = group.as_chunks::<8>();
            digests.iter_mut().zip(words).for_each(|(digest, word)| digest.word(u64::from_le_bytes(*word)));
        }
        let [mut digest, others @ ..] = digests;
        others.iter().for_each(|other| digest.word(other.0));
        let (words, rest) = rest.as_chunks::<8>();
        words.iter().for_each(|word| digest.word(u64::from_le_bytes(*word)));
        rest.iter().for_each(|&byte| digest.word(u64::from(byte)));
        digest.word(bytes.len() as u64);
        digest.0
    }

    /// Fingerprint of a value by its `Debug` form: all its numbers, each as short as it can be read back.
    pub fn of(value: &impl Debug) -> u64 {
        Self::of_bytes(format!("{value:?}").as_bytes())
    }

    /// Fingerprint of a batch with its inputs and targets; of a part, of what all parts of a batch have in common.
    pub fn of_batch(batch: &EncodedBatch) -> u64 {
        let mut digest = Self::new();
        let EncodedBatch { trials, steps, lengths, inputs, targets, key, part } = batch;
        if let Some(Part { first: _, trials, windows }) = part {
            return Self::of(&("part", trials, windows, key));
        }
        digest.word(Self::of(&(trials, steps, lengths, key)));
        inputs.iter().for_each(|input| digest.input(input));
        targets.iter().for_each(|targets| digest.targets(targets));
        digest.0
    }

    fn input(&mut self, input: &Input) {
        match input {
            Input::Silent => self.word(0),
            Input::Rates(segments) => self.word(Self::of(segments)),
            Input::Events(events) => {
                self.word(events.len() as u64);
                for event in events {
                    self.word(u64::from(event.trial) << 32 | u64::from(event.step));
                    self.word(u64::from(event.unit) << 32 | u64::from(event.count));
                }
            }
            Input::Analogue(values) => self.values(values),
        }
    }

    fn targets(&mut self, targets: &Targets) {
        match targets {
            Targets::None => self.word(0),
            Targets::Classes(classes) => classes.iter().for_each(|&class| self.word(u64::from(class))),
            Targets::Windows(windows) => self.word(Self::of(windows)),
            Targets::Values(values) => self.values(values),
        }
    }

    fn values(&mut self, values: &[f64]) {
        self.word(values.len() as u64);
        values.iter().for_each(|value| self.word(value.to_bits()));
    }
}
