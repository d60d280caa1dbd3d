import { type EpropRow, verifyEprop } from './eprop.js'
import { EPROP_SCHEMA, parseEpropFixture } from './eprop-fixture.js'
import { checkSchema, FIXTURE_SCHEMA, parseFixture, readJson } from './fixture.js'
import { object } from './shape.js'
import { type Row, verifyFixture } from './verify.js'

/** How a file compares with the engine. */
export type Report =
  | { readonly schema: typeof FIXTURE_SCHEMA; readonly rows: readonly Row[] }
  | { readonly schema: typeof EPROP_SCHEMA; readonly rows: readonly EpropRow[] }

/**
 * Holds a file of either schema against the engine.
 *
 * @throws {@link FixtureError} for a file that cannot be read, is no JSON, has another schema or does not fit together.
 */
export async function verifyPath(path: string): Promise<Report> {
  const json = await readJson(path)
  const root = object(json, 'the file')
  checkSchema(root, FIXTURE_SCHEMA, EPROP_SCHEMA)
  if (root.schema === EPROP_SCHEMA) return { schema: EPROP_SCHEMA, rows: await verifyEprop(parseEpropFixture(json)) }
  return { schema: FIXTURE_SCHEMA, rows: await verifyFixture(parseFixture(json)) }
}
