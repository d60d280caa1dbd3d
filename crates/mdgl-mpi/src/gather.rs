//! All-gathers of bytes: first of their lengths, then of the bytes, in as many rounds as the number of ranks has binary digits; and messages
//! from one rank to another after all have met.

use mpi::point_to_point::send_receive_into;
use mpi::topology::{Communicator, SimpleCommunicator};
use mpi::traits::{CommunicatorCollectives, Destination, Source};

/// Marker in place of a length: this rank leaves.
const LEAVES: u64 = u64::MAX;

/// MPI counts in 32 bits.
const MOST_BYTES: u64 = i32::MAX as u64;

/// The messages of all ranks, one after another.
pub struct Gathered {
    pub bytes: Vec<u8>,
    pub lengths: Vec<usize>,
}

/// Waits for all ranks, so that messages between them will be answered; every rank gets the same error.
pub fn meet(world: &SimpleCommunicator) -> Result<(), String> {
    all_say(world, 0).map(drop)
}

/// Sends a message to one rank.
pub fn send(world: &SimpleCommunicator, to: u32, message: &[u8]) -> Result<(), String> {
    if message.len() as u64 > MOST_BYTES {
        return Err(format!("a message has {} bytes; MPI's counts go up to {MOST_BYTES}", message.len()));
    }
    world.process_at_rank(to as i32).send(message);
    Ok(())
}

/// Receives a message of one rank.
pub fn receive(world: &SimpleCommunicator, from: u32) -> Vec<u8> {
    world.process_at_rank(from as i32).receive_vec().0
}

/// Sends a message to all ranks and receives theirs; every rank gets the same error.
pub fn gather(world: &SimpleCommunicator, message: &[u8]) -> Result<Gathered, String> {
    let lengths = all_say(world, message.len() as u64)?;
    let total = lengths.iter().fold(0u64, |sum, &length| sum.saturating_add(length));
    if total > MOST_BYTES {
        return Err(format!(
            "the messages of all ranks have {total} bytes; MPI's counts go up to {MOST_BYTES}"
        ));
    }
    let lengths: Vec<usize> = lengths.into_iter().map(|length| length as usize).collect();
    Ok(Gathered { bytes: in_rounds(world, message, &lengths), lengths })
}

/// Bruck's all-gather: in round k a rank passes on all it has, up to 2ᵏ messages, to the rank 2ᵏ places before it. MPI's own takes a
/// ring for messages of this size, which has as many steps as there are ranks.
fn in_rounds(world: &SimpleCommunicator, message: &[u8], lengths: &[usize]) -> Vec<u8> {
    let (rank, size) = (world.rank() as usize, lengths.len());
    let total = lengths.iter().sum();
    // The messages of this rank and of those after it, in a circle.
    let mut held = Vec::with_capacity(total);
    held.extend_from_slice(message);
    let bytes_of = |first: usize, count: usize| -> usize {
        (first..first + count).map(|other| lengths[other % size]).sum()
    };
    let mut count = 1;
    while count < size {
        let more = count.min(size - count);
        let (to, from) = ((rank + size - count) % size, (rank + count) % size);
        let sent = held[..bytes_of(rank, more)].to_vec();
        let mut received = vec![0u8; bytes_of(from, more)];
        let (to, from) = (world.process_at_rank(to as i32), world.process_at_rank(from as i32));
        send_receive_into(&sent[..], &to, &mut received[..], &from);
        held.extend_from_slice(&received);
        count += more;
    }
    held.rotate_right(lengths[..rank].iter().sum());
    held
}

/// Announces that this rank leaves; returns whether all do.
pub fn leave(world: &SimpleCommunicator) -> bool {
    say(world, LEAVES).iter().all(|&length| length == LEAVES)
}

/// As [`say`], where no rank leaves.
fn all_say(world: &SimpleCommunicator, length: u64) -> Result<Vec<u64>, String> {
    let lengths = say(world, length);
    match lengths.iter().position(|&length| length == LEAVES) {
        Some(rank) => Err(format!("rank {rank} has ended while others wait for its message")),
        None => Ok(lengths),
    }
}

fn say(world: &SimpleCommunicator, length: u64) -> Vec<u64> {
    let mut lengths = vec![0u64; world.size() as usize];
    world.all_gather_into(&length, &mut lengths[..]);
    lengths
}
