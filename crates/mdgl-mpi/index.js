// The addon, and the end of a process: all ranks end well together, or the job ends with an error.
import { constants } from 'node:os'
import { fileURLToPath } from 'node:url'

const addon = { exports: {} }
let joined

/** The processes of this `mpirun`; the same object at every call. */
export function world() {
  joined ??= join()
  return joined
}

function join() {
  // MPI's plug-ins look for its symbols among all of the process.
  const path = fileURLToPath(new URL('mdgl-mpi.node', import.meta.url))
  process.dlopen(addon, path, constants.dlopen.RTLD_NOW | constants.dlopen.RTLD_GLOBAL)
  const native = new addon.exports.World()
  let reducing = 0
  // Without MPI's end `mpirun` ends the other ranks and says which one was the first.
  process.on('exit', code => {
    if (code !== 0 || (reducing === 0 && native.leave())) return
    console.error(`mdgl-mpi: rank ${native.rank} ends while other ranks go on or wait for a message`)
    process.exitCode = 1
  })
  const { rank, size } = native
  const allReduce = async (message, merge) => {
    reducing++
    try {
      return await inTree(native, message, merge)
    } finally {
      reducing--
    }
  }
  return { rank, size, allGather: message => native.allGather(message), allReduce }
}

/**
 * One message of all ranks in two passes over a binomial tree: up to rank 0, each rank merging the messages of the groups of 1, 2, 4, … ranks
 * behind its own, and down again.
 */
async function inTree(native, message, merge) {
  const { rank, size } = native
  await native.meet()
  let own = message
  let span = 1
  for (; span < size && rank % (2 * span) === 0; span *= 2) {
    if (rank + span < size) own = await merge(own, await native.receive(rank + span))
  }
  if (rank > 0) {
    await native.send(rank - span, own)
    own = await native.receive(rank - span)
  }
  for (span /= 2; span >= 1; span /= 2) if (rank + span < size) await native.send(rank + span, own)
  return own
}
