import { defineConfig } from 'vite'
import { svelte } from '@sveltejs/vite-plugin-svelte'

// Names without hashes: the bundle in git changes only where the sources do.
export default defineConfig({
  plugins: [svelte({ compilerOptions: { css: 'external' } })],
  base: '/',
  build: {
    outDir: process.env.STUDIO_OUT || '../duel/studio/static',
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rollupOptions: {
      output: {
        entryFileNames: 'assets/studio.js',
        chunkFileNames: 'assets/[name].js',
        assetFileNames: 'assets/[name][extname]',
      },
    },
  },
})
