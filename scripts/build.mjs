// `npm run build`: everything `npm start` and `npm test` build, and index.d.ts anew.
import { guarded, prepare } from './lib/prepare.mjs'

await guarded(async () => {
  await prepare({ types: true })
  return 0
})
