//! Permutations that bring the lanes of a mask together and back, for instruction sets without compress and expand.

/// Per mask of some lanes of a 256-bit register: the order of its eight 32-bit parts; negative where the result is 0.
pub(super) type LanePermutations<const MASKS: usize> = [Order; MASKS];

/// An order of 32-bit parts, as a register reads it.
#[derive(Clone, Copy)]
#[repr(C, align(32))]
pub(super) struct Order(pub [i32; 8]);

/// Eight lanes: those of the mask first.
pub(super) static SQUEEZE8: LanePermutations<256> = permutations(8, false);
/// Eight lanes: the first ones at the mask's places.
pub(super) static SPREAD8: LanePermutations<256> = permutations(8, true);
/// Four lanes: those of the mask first.
pub(super) static SQUEEZE4: LanePermutations<16> = permutations(4, false);
/// Four lanes: the first ones at the mask's places.
pub(super) static SPREAD4: LanePermutations<16> = permutations(4, true);

const fn permutations<const MASKS: usize>(lanes: usize, spread: bool) -> LanePermutations<MASKS> {
    let parts = 8 / lanes;
    let mut permutations = [Order([if spread { i32::MIN } else { 0 }; 8]); MASKS];
    let mut mask = 0;
    while mask < MASKS {
        let (mut lane, mut count) = (0, 0);
        while lane < lanes {
            if mask >> lane & 1 == 1 {
                let (to, from) = if spread { (lane, count) } else { (count, lane) };
                let mut part = 0;
                while part < parts {
                    permutations[mask].0[to * parts + part] = (from * parts + part) as i32;
                    part += 1;
                }
                count += 1;
            }
            lane += 1;
        }
        mask += 1;
    }
    permutations
}
