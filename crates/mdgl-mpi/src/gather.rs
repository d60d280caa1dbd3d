//! All-gathers of bytes: first of their lengths, then of the bytes.

use mpi::datatype::PartitionMut;
use mpi::topology::{Communicator, SimpleCommunicator};
use mpi::traits::CommunicatorCollectives;

/// Marker in place of a length: this rank leaves.
const LEAVES: u64 = u64::MAX;

/// MPI counts in 32 bits.
const MOST_BYTES: u64 = i32::MAX as u64;

/// The messages of all ranks, one after another.
pub struct Gathered {
    pub bytes: Vec<u8>,
    pub lengths: Vec<usize>,
}

/// Sends a message to all ranks and receives theirs; every rank gets the same error.
pub fn gather(world: &SimpleCommunicator, message: &[u8]) -> Result<Gathered, String> {
    let lengths = say(world, message.len() as u64);
    if let Some(rank) = lengths.iter().position(|&length| length == LEAVES) {
        return Err(format!("rank {rank} has ended while others wait for its message"));
    }
    let total = lengths.iter().fold(0u64, |sum, &length| sum.saturating_add(length));
    if total > MOST_BYTES {
        return Err(format!(
            "the messages of all ranks have {total} bytes; MPI's counts go up to {MOST_BYTES}"
        ));
    }
    let counts: Vec<i32> = lengths.iter().map(|&length| length as i32).collect();
    let starts: Vec<i32> =
        counts.iter().scan(0, |at, &count| Some(std::mem::replace(at, *at + count))).collect();
    let mut bytes = vec![0u8; total as usize];
    let mut parts = PartitionMut::new(&mut bytes[..], counts, &starts[..]);
    world.all_gather_varcount_into(message, &mut parts);
    Ok(Gathered { bytes, lengths: lengths.into_iter().map(|length| length as usize).collect() })
}

/// Announces that this rank leaves; returns whether all do.
pub fn leave(world: &SimpleCommunicator) -> bool {
    say(world, LEAVES).iter().all(|&length| length == LEAVES)
}

fn say(world: &SimpleCommunicator, length: u64) -> Vec<u64> {
    let mut lengths = vec![0u64; world.size() as usize];
    world.all_gather_into(&length, &mut lengths[..]);
    lengths
}
