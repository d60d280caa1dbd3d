//! Orders of lanes that bring the lanes of a mask together and back, for instruction sets that can only permute.

/// Of each mask of some lanes of a 256-bit register, the order of its eight 32-bit parts.
pub(super) type Orders<const MASKS: usize> = [[u8; 8]; MASKS];

/// Eight lanes: those of the mask first.
pub(super) static SQUEEZE8: Orders<256> = orders(8, false);
/// Eight lanes: the first ones at the mask's places.
pub(super) static SPREAD8: Orders<256> = orders(8, true);
/// Four lanes: those of the mask first.
pub(super) static SQUEEZE4: Orders<16> = orders(4, false);
/// Four lanes: the first ones at the mask's places.
pub(super) static SPREAD4: Orders<16> = orders(4, true);

const fn orders<const MASKS: usize>(lanes: usize, spread: bool) -> Orders<MASKS> {
    let parts = 8 / lanes;
    let mut orders = [[0; 8]; MASKS];
    let mut mask = 0;
    while mask < MASKS {
        let (mut lane, mut count) = (0, 0);
        while lane < lanes {
            if mask >> lane & 1 == 1 {
                let (to, from) = if spread { (lane, count) } else { (count, lane) };
                let mut part = 0;
                while part < parts {
                    orders[mask][to * parts + part] = (from * parts + part) as u8;
                    part += 1;
                }
                count += 1;
            }
            lane += 1;
        }
        mask += 1;
    }
    orders
}
