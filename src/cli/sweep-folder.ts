import { join } from 'node:path'
import type { Sweep } from '../sweep/sweep.js'

/** Where a sweep's runs go unless it is said. */
export const sweepFolder = ({ name }: Sweep): string => join('runs', `sweep-${name}`)
