import { appendFile, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'ava'
import type { Metrics } from '../src/index.js'
import { metricsLine, RUN_FORMAT, type RunConfig, RunFolder, readRunFolder } from '../src/runs/run-folder.js'
import { RunLock } from '../src/runs/run-lock.js'
import { temporaryFolder } from './helpers/cli.js'

const CONFIG: RunConfig = {
  format: RUN_FORMAT,
  versions: { mdgl: '0.1.0' },
  instructionSetClass: 'fused',
  task: 'a task',
  rule: { hops: 0 },
  network: { schema: 'mdgl-network/1' },
  precision: 'f32',
  seed: 3,
  training: { iterations: 2 }
}

const metrics = (iteration: number): Metrics => ({
  rate: 5,
  regulariser: 0,
  living: { 'a->b': 7 },
  readouts: { one: { loss: 0.1 + 0.2, accuracy: null }, other: { loss: 0.5, accuracy: 0.25 } },
  msPerIteration: 1,
  gradientNorm: 2,
  accuracy: null,
  loss: 0.1 + 0.2,
  split: 'train',
  iteration
})

const model = { save: (path: string) => writeFile(path, 'weights') }

test('what is written is read back, to the last bit', async t => {
  const path = join(await temporaryFolder(t), 'deep', 'run')
  const folder = await RunFolder.create(path, CONFIG)
  await folder.append(metrics(1))
  await folder.append(metrics(2))
  t.false((await readRunFolder(path))?.finished)
  await folder.finish(model)
  t.deepEqual(await readRunFolder(path), { config: CONFIG, metrics: [metrics(1), metrics(2)], finished: true })
  t.deepEqual((await readdir(path)).sort(), ['config.json', 'finished.json', 'metrics.jsonl', 'weights.safetensors'])
})

test('a readout alone is not written beside the loss, and is read as none', t => {
  const alone = { ...metrics(1), readouts: { one: { loss: 0.1 + 0.2, accuracy: null } } }
  t.deepEqual(JSON.parse(metricsLine(alone)), JSON.parse(JSON.stringify({ ...alone, readouts: undefined })))
})

test('half a line at the end of the metrics is left out', async t => {
  const path = join(await temporaryFolder(t), 'run')
  const folder = await RunFolder.create(path, CONFIG)
  await folder.append(metrics(1))
  await folder.close()
  await appendFile(join(path, 'metrics.jsonl'), '{"iteration":2,"spl')
  t.deepEqual((await readRunFolder(path))?.metrics, [metrics(1)])
})

test('a folder that is not there or empty is no run, and a run can start in it', async t => {
  const path = await temporaryFolder(t)
  t.is(await readRunFolder(join(path, 'none')), undefined)
  t.is(await readRunFolder(path), undefined)
  await (await RunFolder.create(path, CONFIG)).close()
  t.deepEqual((await readRunFolder(path))?.config, CONFIG)
})

test('a folder of something else is neither used nor removed', async t => {
  const path = await temporaryFolder(t)
  await mkdir(join(path, 'photos'))
  await t.throwsAsync(RunFolder.create(path, CONFIG), { message: /is not empty: choose another/ })
  await t.throwsAsync(readRunFolder(path), { message: /is not a run folder of format mdgl-run\/1/ })
  await writeFile(join(path, 'config.json'), '{"format":"mdgl-run/9"}')
  await t.throwsAsync(readRunFolder(path), { message: /is not a run folder of format mdgl-run\/1/ })
  t.deepEqual((await readdir(path)).sort(), ['config.json', 'photos'])
})

test('a run starts anew among files of others', async t => {
  const path = join(await temporaryFolder(t), 'run')
  const folder = await RunFolder.create(path, CONFIG)
  await folder.append(metrics(1))
  await folder.close()
  await mkdir(join(path, 'checkpoints'))
  await writeFile(join(path, 'interventions.jsonl'), '')
  await writeFile(join(path, 'weights.txt'), 'mine')
  t.false((await readRunFolder(path))?.finished)
  await (await RunFolder.restart(await RunLock.acquire(path), CONFIG)).close()
  t.deepEqual((await readdir(path)).sort(), ['config.json', 'metrics.jsonl', 'weights.txt'])
  t.deepEqual((await readRunFolder(path))?.metrics, [])
})

test('a broken line of metrics is named by file and line', async t => {
  const path = join(await temporaryFolder(t), 'run')
  const folder = await RunFolder.create(path, CONFIG)
  await folder.append(metrics(1))
  await folder.close()
  await appendFile(join(path, 'metrics.jsonl'), '{"iteration":2,"spl\n')
  const { message } = await t.throwsAsync(readRunFolder(path))
  t.is(message, `${join(path, 'metrics.jsonl')}:2 is no line of metrics`)
})
