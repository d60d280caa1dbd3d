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
  // Without MPI's end `mpirun` ends the other ranks and says which one was the first.
  process.on('exit', code => {
    if (code !== 0 || native.leave()) return
    console.error(`mdgl-mpi: rank ${native.rank} ends while other ranks go on or wait for a message`)
    process.exitCode = 1
  })
  return { rank: native.rank, size: native.size, allGather: message => native.allGather(message) }
}
