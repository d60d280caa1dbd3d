import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

const at = path => fileURLToPath(new URL(path, import.meta.url))

/** The dashboard's page: one HTML file, one script, one style sheet, as dist/dashboard/page. */
export default defineConfig({
  root: at('.'),
  base: './',
  logLevel: 'warn',
  build: { outDir: at('../../../dist/dashboard/page'), emptyOutDir: true, chunkSizeWarningLimit: 1000 }
})
