import { readFileSync } from 'node:fs'
import test from 'ava'
import { instructionTable } from '../scripts/lib/instruction-table.mjs'
import { outlinedIntrinsics } from '../scripts/lib/outlined-intrinsics.mjs'

const record = { compiler: 'rustc 1', counts: { 'W eprop': 100e6, 'W3 bptt': 2e6 } }

test('instructions that grew by more than 5 % are named, those that grew by less or shrank are not', t => {
  const { grown, text } = instructionTable(record, {
    compiler: 'rustc 1',
    counts: { 'W eprop': 104e6, 'W3 bptt': 2.2e6 }
  })
  t.deepEqual(grown, ['W3 bptt'])
  t.true(text.includes('| W3 bptt | 2.0 | 2.2 | 10.0 |'))
  t.deepEqual(instructionTable(record, { ...record, counts: { 'W eprop': 50e6, 'W3 bptt': 2e6 } }).grown, [])
})

test('a recorded workload that is not measured any more fails; another compiler is said', t => {
  const { grown, text } = instructionTable(record, { compiler: 'rustc 2', counts: { 'W eprop': 100e6 } })
  t.deepEqual(grown, ['W3 bptt'])
  t.true(text.endsWith('Recorded with rustc 1, now rustc 2.'))
})

test('each recorded workload has a count for each of three rules', t => {
  const text = readFileSync('scripts/instructions.json', 'utf8')
  const recorded = JSON.parse(text) as { readonly counts: Readonly<Record<string, number>> }
  const names = Object.keys(recorded.counts)
  const of = (rule: string) => names.filter(name => name.endsWith(` ${rule}`)).length
  t.deepEqual([of('eprop'), of('mdgl'), of('bptt')], [names.length / 3, names.length / 3, names.length / 3])
  t.true(Object.values(recorded.counts).every(count => count > 1e6))
})

test('intrinsics of vectors among symbols are named once, the detection of the processor is not', t => {
  const symbols = [
    '0000000000469780 t core::core_arch::x86::avx::_mm256_load_pd',
    '0000000000319d10 t core::core_arch::x86::avx::_mm256_load_pd',
    '0000000000353310 t core::core_arch::x86::avx512f::_mm512_load_ps',
    '0000000000688420 t core::core_arch::x86::xsave::_xgetbv',
    '000000000028f720 T mdgl_core::run::train_step'
  ]
  t.deepEqual(outlinedIntrinsics(symbols.join('\n')), ['_mm256_load_pd', '_mm512_load_ps'])
  t.deepEqual(outlinedIntrinsics(symbols.slice(3).join('\n')), [])
})
