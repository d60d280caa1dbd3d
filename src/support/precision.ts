/** The float type a model computes in. */
export type Precision = 'f32' | 'f64'

/** The typed array of a precision. */
export type Values<P extends Precision = Precision> = P extends 'f32' ? Float32Array : Float64Array
