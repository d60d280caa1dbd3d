// The glibc that a library for Linux needs, from the versions of symbols that it asks for: section .gnu.version_r of a 64-bit ELF file.
const ELF = 0x464c457f
const VERSIONS_NEEDED = 0x6ffffffe
const HEADER = { sections: 0x28, entrySize: 0x3a, count: 0x3c }
const SECTION = { type: 0x04, offset: 0x18, link: 0x28, info: 0x2c }
/** A file that symbols come from: how many versions of it, where the first is, where the next file. */
const FILE = { count: 2, first: 8, next: 12 }
/** A version of a file: where its name is among the strings, where the next. */
const VERSION = { name: 8, next: 12 }

const numbers = version => version.split('.').map(Number)

/** Below 0 where `a` is the older version of two like `2.28`. */
export function compareVersions(a, b) {
  const others = numbers(b)
  return (
    numbers(a)
      .map((number, i) => number - (others[i] ?? 0))
      .concat(numbers(a).length - others.length)
      .find(difference => difference !== 0) ?? 0
  )
}

function sections(bytes) {
  const at = Number(bytes.readBigUInt64LE(HEADER.sections))
  const size = bytes.readUInt16LE(HEADER.entrySize)
  return Array.from({ length: bytes.readUInt16LE(HEADER.count) }, (_, i) => {
    const header = bytes.subarray(at + i * size)
    return {
      type: header.readUInt32LE(SECTION.type),
      offset: Number(header.readBigUInt64LE(SECTION.offset)),
      link: header.readUInt32LE(SECTION.link),
      info: header.readUInt32LE(SECTION.info)
    }
  })
}

function textAt(bytes, offset) {
  return bytes.toString('latin1', offset, bytes.indexOf(0, offset))
}

/** Names of versions, `GLIBC_2.28` for instance. @param {Buffer} bytes - a 64-bit ELF file, little-endian */
export function neededVersions(bytes) {
  if (bytes.length < 64 || bytes.readUInt32LE(0) !== ELF) throw new Error('this is no ELF file')
  const all = sections(bytes)
  const needed = all.find(({ type }) => type === VERSIONS_NEEDED)
  if (needed === undefined) return []
  const strings = all[needed.link].offset
  const names = []
  for (let i = 0, file = needed.offset; i < needed.info; i++, file += bytes.readUInt32LE(file + FILE.next)) {
    let version = file + bytes.readUInt32LE(file + FILE.first)
    for (
      let j = 0;
      j < bytes.readUInt16LE(file + FILE.count);
      j++, version += bytes.readUInt32LE(version + VERSION.next)
    )
      names.push(textAt(bytes, strings + bytes.readUInt32LE(version + VERSION.name)))
  }
  return names
}

/** The least glibc that has all that a library asks for; undefined for one that asks for none. @param {Buffer} bytes */
export function neededGlibc(bytes) {
  const versions = neededVersions(bytes).flatMap(name => /^GLIBC_([\d.]+)$/.exec(name)?.[1] ?? [])
  return versions.sort(compareVersions).at(-1)
}
