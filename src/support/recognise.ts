import { types } from 'node:util'

// Tells values by what they are, not by their class. Jest, Vitest's `vmThreads` and `node:vm` load modules into a realm that has an `Error`
// and a `Float32Array` of its own, while what Node and the engine give is of another: `instanceof` says false of it. A proxy is none of
// these, whatever stands behind it.

/** A typed array of floats. */
export function isFloatArray(value: unknown): value is Float32Array | Float64Array {
  return types.isFloat32Array(value) || types.isFloat64Array(value)
}

export const { isDataView, isFloat32Array, isFloat64Array, isSharedArrayBuffer, isUint8Array, isUint32Array } = types

/** The name of a typed array's class, `Float32Array` for instance; nothing for any other value. Runs no code of the caller's. */
export function arrayName(value: unknown): string | undefined {
  return CLASS_NAME.call(value)
}

const CLASS_NAME = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)
  ?.get as (this: unknown) => string | undefined

/** An error of any realm, or what inherits from one of this realm. */
export function isError(value: unknown): value is Error {
  return types.isNativeError(value) || value instanceof Error
}

/** What an error says; of anything else that was thrown, its text. */
export function messageOf(thrown: unknown): string {
  return isError(thrown) ? thrown.message : String(thrown)
}

/** The code of an error of the system's, `ENOENT` for instance; nothing for any other value. */
export function codeOf(thrown: unknown): string | undefined {
  return isError(thrown) && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined
}

/** The text of an address, Node's or another implementation's; nothing for any other value. */
export function addressText(value: object): string | undefined {
  if (Object.prototype.toString.call(value) !== '[object URL]') return undefined
  const { href } = value as URL
  return typeof href === 'string' ? href : undefined
}
