import type { Collective } from 'mdgl'

/**
 * The processes that `mpirun` started, as a collective for `train`; the same object at every call. MPI runs on a thread of its
 * own. A process that ends with an exit code other than 0, or while others wait for it, ends all.
 *
 * @throws {Error} When the addon is not built, or MPI does not start.
 */
export function world(): Collective
