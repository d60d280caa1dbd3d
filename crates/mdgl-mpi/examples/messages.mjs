// What an all-gather of so many bytes a rank costs; rank 0 prints JSON:
//   mpirun --oversubscribe -n 4 node messages.mjs
import { world } from 'mdgl-mpi'

const SIZES = [8, 1000, 10_000, 100_000, 1_000_000, 4_000_000]
const WARM = 5
const ROUNDS = 41

const { rank, size, allGather } = world()

async function median(bytes) {
  const message = new Uint8Array(bytes).fill(rank)
  const times = []
  for (let round = 0; round < WARM + ROUNDS; round++) {
    const begun = performance.now()
    await allGather(message)
    if (round >= WARM) times.push(performance.now() - begun)
  }
  return times.sort((a, b) => a - b)[ROUNDS >> 1]
}

const rows = []
for (const bytes of SIZES) rows.push({ ranks: size, bytes, ms: await median(bytes) })
if (rank === 0) console.log(JSON.stringify(rows))
