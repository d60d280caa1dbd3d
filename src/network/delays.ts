import type { Delay, NumberList } from './description.js'

/** Whether delays are a list, one per synapse. */
export function isNumberList(delay: Delay): delay is NumberList {
  return Array.isArray(delay) || ArrayBuffer.isView(delay)
}
