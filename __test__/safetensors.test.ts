import { join } from 'node:path'
import { Model } from '../src/index.js'
import { temporaryFolder } from './helpers/cli.js'
import { python, pythonTest } from './helpers/python.js'
import { smallNetwork } from './helpers/small.js'

interface Tensor {
  readonly type: string
  readonly shape: number[]
  readonly values: number[]
}

for (const precision of ['f32', 'f64'] as const) {
  pythonTest(`Python's safetensors reads a model's weights under their names, ${precision}`, async t => {
    const path = join(await temporaryFolder(t), 'weights.safetensors')
    const model = Model.create(smallNetwork(), { precision })
    model.bias.set('choice', [0.5, -0.1])
    await model.save(path)
    const tensors = (await python(
      `
from safetensors.numpy import load_file
print(json.dumps({k: dict(type=str(v.dtype), shape=v.shape, values=v.tolist()) for k, v in load_file(argv[0]).items()}))`,
      path
    )) as Record<string, Tensor>
    const type = precision === 'f32' ? 'float32' : 'float64'
    for (const { name } of model.description.projections ?? []) {
      if (name === undefined) return t.fail('a projection without a name')
      const { pre, post, values } = model.weights.get(name)
      t.deepEqual(tensors[name], { type, shape: [values.length], values: Array.from(values) }, name)
      t.deepEqual(tensors[`${name}.pre`], { type: 'uint32', shape: [pre.length], values: Array.from(pre) }, name)
      t.deepEqual(tensors[`${name}.post`], { type: 'uint32', shape: [post.length], values: Array.from(post) }, name)
    }
    const bias = Array.from(model.bias.get('choice'))
    t.deepEqual(tensors['choice.bias'], { type, shape: [2], values: bias })
  })
}
