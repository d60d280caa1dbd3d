// Instructions of a processor's set that compiled code calls as functions instead of executing them.

/**
 * Names the vector intrinsics in a list of symbols (`nm --demangle`). A kernel is compiled for its instruction set with all that it calls
 * in its loops; where a closure or a method of the standard library stays a call, what it does for that set becomes calls, too, each
 * through memory.
 */
export function outlinedIntrinsics(symbols) {
  const names = symbols.match(/\bcore_arch::x86::(?:sse|avx|fma)\w*::_mm\w+/g) ?? []
  return [...new Set(names.map(name => name.split('::').at(-1)))].sort()
}
